"""Kind to objects: the one place where adapters are imported, on demand."""

import os
import pwd
import socket
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from keyturn.core.clock import Clock, SystemClock
from keyturn.core.compose import compose
from keyturn.core.consumer import Consumer
from keyturn.core.derived import Derived, Form
from keyturn.core.errors import Corrupt, NotAvailable, NotFound, Refused
from keyturn.core.kinds import Room, begins, find, function, rotates
from keyturn.core.rotator import Rotator
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.store import Escrow, Store
from keyturn.journal.checkpoint import pin_of
from keyturn.journal.record import SYSTEM, Event, Journal
from keyturn.journal.sqlite import SqliteJournal
from keyturn.manifest.kinds.local import Options as Local
from keyturn.manifest.model import Manifest
from keyturn.manifest.state import State, state_of
from keyturn.manifest.surroundings import Surroundings
from keyturn.rotation.copying import carried
from keyturn.rotation.engine import Engine, available
from keyturn.rotation.log import Listener, silent
from keyturn.rotation.parts import LOOKS, Parts, Policy, demanded
from keyturn.rotation.serving import Served
from keyturn.rotation.standing import moved
from keyturn.stores.carried import CarriedStore
from keyturn.stores.local import LocalEscrow, LocalVault, SelfKeys, Where
from keyturn.stores.local.declared import place
from keyturn.system.files import is_there, make_directory

__all__ = ["CLAIM", "SELF_VAULT", "Assembly", "Created", "State", "actor", "assemble", "create_state", "state_of"]

SELF_VAULT = "vault.self_created"
"""The record that pins Keyturn's own vault: its id, written once by `init`."""

CLAIM = 60.0
"""Seconds for which a worker's claim holds, unless who assembles says otherwise."""


def actor() -> str:
    """Who acts, for the journal: `user@host/pid`; the user who called sudo, where one did."""
    try:
        account = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        account = str(os.geteuid())
    return f"{os.environ.get('SUDO_USER') or account}@{socket.gethostname()}/{os.getpid()}"


class Created(NamedTuple):
    """What a new installation pins, the vault's id and the checkpoint key, and the recovery code."""

    vault_id: str
    recovery: SecretValue
    checkpoint_key: str


def create_state(state: State, clock: Clock | None = None) -> Created:
    """Make journal, vault, own vault and key file; return what is to be pinned, and the recovery code.

    Raises:
        Refused: something of it is there already; nothing was changed.
        AdapterError: it cannot be made there.
    """
    clock = clock or SystemClock()
    _check_unused(state)
    make_directory(state.directory)
    make_directory(state.locks)
    vault, code = LocalVault.create(state.vault, key_file=state.key_file, anchor=state.anchor(state.vault))
    own, _ = LocalVault.create(
        state.self_vault, key_file=state.key_file, anchor=state.anchor(state.self_vault), recovery=code
    )
    with SqliteJournal(state.journal, actor=actor(), clock=clock, high_water=state.high_water) as journal:
        journal.append(SYSTEM, journal.head(SYSTEM).seq, Event(SELF_VAULT, {"vault_id": own.vault_id}))
    return Created(vault.vault_id, code, pin_of(SelfKeys(own).checkpoint_public_key()))


def _check_unused(state: State) -> None:
    if is_there(state.journal):
        raise Refused(f"{state.journal} is there already", "choose another state directory, or keep using this one")
    for path in (state.vault, state.self_vault):
        if is_there(path):
            raise Refused(
                f"{path} is there without a journal: an init that was cut off, or a journal that was lost",
                f"restore the journal; if nothing was ever kept there, remove {state.directory}",
            )


class Assembly:
    """One manifest with everything it declares, made when it is first asked for.

    Args:
        manifest: what is declared.
        state: where Keyturn's own things are, if not where the manifest says.
        clock: the source of moments; None for this host's.
        listener: hears each record and each look of a settle.
        stopping: asked between steps; True ends what is under way after its step.
        around: wraps each adapter as it is made; the crash harness puts its kill points there.
        claim: seconds for which a worker's claim holds.
        looks: seconds after a promote at which a store without compare-and-swap is looked at again.
        locks: directory of lock files; None for the one in the state directory, which all workers of a host share.
    """

    def __init__(  # noqa: PLR0913 - the seams of an assembly, all by name
        self,
        manifest: Manifest,
        *,
        state: State | None = None,
        clock: Clock | None = None,
        listener: Listener = silent,
        stopping: Callable[[], bool] = lambda: False,
        around: Callable[[str, Any], Any] = lambda _, part: part,
        claim: float = CLAIM,
        looks: tuple[float, ...] = LOOKS,
        locks: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self.state = state or state_of(manifest.keyturn.state)
        self.clock: Clock = clock or SystemClock()
        self._listener = listener
        self._stopping = stopping
        self._around = around
        self._claim, self._looks = claim, looks
        self._locks = locks or self.state.locks
        self._made: dict[tuple[Room, str], Any] = {}

    @cached_property
    def journal(self) -> Journal:
        """The journal. Raises NotFound before `keyturn init`, Denied where this user may not look."""
        if not is_there(self.state.journal):
            raise NotFound(f"{self.state.journal} is not there", "keyturn init")
        real = SqliteJournal(self.state.journal, actor=actor(), clock=self.clock, high_water=self.state.high_water)
        journal: Journal = self._around("journal", real)
        return journal

    @cached_property
    def self_vault(self) -> LocalVault:
        """Keyturn's own vault, the one that the journal pins."""
        where = self.self_vault_place
        return LocalVault.open(where.path, key_file=self.state.key_file, anchor=where.anchor, vault_id=where.vault_id)

    @cached_property
    def self_vault_place(self) -> Where:
        """Where Keyturn's own vault is; it is not opened. Raises Corrupt where the journal pins none."""
        pinned = [record.data["vault_id"] for record in self.journal.read(SYSTEM) if record.kind == SELF_VAULT]
        if not pinned:
            raise Corrupt("the journal does not say which vault is Keyturn's own", "keyturn audit verify")
        path = self.state.self_vault
        return Where(path, self.state.anchor(path), pinned[-1])

    @property
    def local_vaults(self) -> dict[str, Where]:
        """Where each declared store that is a local vault lies, by its name; none is opened."""
        tables = self.manifest.stores.items()
        return {name: place(table, self.state.directory) for name, table in tables if isinstance(table, Local)}

    @cached_property
    def escrow(self) -> Escrow:
        """Where candidates are sealed before anything else sees them."""
        escrow: Escrow = self._around("escrow", LocalEscrow(self.self_vault))
        return escrow

    @cached_property
    def keys(self) -> SelfKeys:
        """Keyturn's own keys."""
        return SelfKeys(self.self_vault)

    def store(self, secret: str) -> Store:
        """The store that keeps this secret, with the journal's ids for what was copied into it.

        Raises NotAvailable, AdapterError.
        """
        found, own = self.store_named(self.manifest.store_of(secret)), self.own_ids(secret)
        return CarriedStore(found, self.store_name(secret), own) if own else found

    def own_ids(self, secret: str) -> Mapping[str, str]:
        """What the store of this secret calls the versions that were copied into it, by the journal's ids."""
        if not self._copied.get(secret):
            return {}
        return carried(self.journal.read(secret), self.place(secret), self.store_name(secret))

    def place(self, secret: str) -> str:
        """What the store of this secret is, however the manifest calls it."""
        return self.manifest.stores[self.manifest.store_of(secret)].place

    @cached_property
    def _copied(self) -> Mapping[str, int | None]:
        """Which secrets were ever copied, so that the streams of all others need not be read for it."""
        return {name: row["copied"] for name, row in self.journal.projected().items()}

    def store_named(self, name: str) -> Store:
        """One declared store. Raises NotAvailable, AdapterError."""
        store: Store = self._make("stores", name, self.manifest.stores[name].kind, self.manifest.stores[name])
        return store

    def store_name(self, secret: str) -> str:
        """What the secret is called in its store."""
        return self.manifest.store_name_of(secret)

    def rotator(self, secret: str) -> Rotator:
        """What knows the target of this secret. Raises NotAvailable."""
        table = self.manifest.secret(secret)
        rotator: Rotator = self._make("rotators", secret, table.kind, table)
        return rotator

    def consumers(self, secret: str) -> tuple[Consumer, ...]:
        """Who uses this secret. Raises NotAvailable."""
        return tuple(self.consumer(name) for name in self.manifest.secret(secret).consumers)

    def consumer(self, name: str) -> Consumer:
        """One declared consumer. Raises NotAvailable."""
        table = self.manifest.consumers[name]
        consumer: Consumer = self._make("consumers", name, table.kind, table)
        return consumer

    def bundle(self, secret: str) -> Bundle:
        """The current content. Raises NotFound before the first version."""
        store, name = self.store(secret), self.store_name(secret)
        version = store.current(name)
        if version is None:
            raise self.absent(secret)
        return store.read(name, version)

    def absent(self, secret: str) -> NotFound:
        """Why the store has no version of it: there never was one, or it lies in another store."""
        current = self.journal.projected().get(secret, {}).get("current")
        if current is not None:
            message = f"{self.manifest.store_of(secret)} holds no version of {secret}, and the journal says"
            return NotFound(f"{message} {current['version']}", moved(secret))
        return NotFound(f"{secret} has no version yet", f"keyturn {begins(self.manifest.secret(secret).kind)} {secret}")

    def minted(self, secret: str) -> Bundle:
        """A first version that is right by itself. Raises NotAvailable where a target or a person must be asked."""
        table = self.manifest.secret(secret)
        if (line := find("rotators", table.kind)) is None or line.mint is None:
            raise NotAvailable(f"making a first version of kind {table.kind!r}")
        bundle: Bundle = function(line.mint)(table)
        return bundle

    def whole(self, secret: str, fields: Mapping[str, str]) -> Bundle:
        """The bundle of what a person brought, with what follows from it. Raises UsageError."""
        table = self.manifest.secret(secret)
        line = find("rotators", table.kind)
        if line is None or line.complete is None:
            return Bundle({**table.follows, **fields})
        bundle: Bundle = function(line.complete)(table, fields)
        return bundle

    def published(self, secret: str, bundle: Bundle) -> Mapping[str, SecretValue]:
        """The views of a bundle under their published names."""
        table = self.manifest.secret(secret)
        built = table.coordinates and rotates(table.kind)
        coordinates = self.rotator(secret).coordinates() if built else table.whereabouts
        return {name: compose(view.text, bundle, coordinates) for name, view in table.publish.items()}

    def copies(self, secret: str) -> tuple[Derived, ...]:
        """The derived copies of this secret that its store carries, in the order of the manifest.

        What it cannot carry is not available, and keeps the secret from being rotated (`manifest.unavailable_for`).
        """
        views, of = self.manifest.secret(secret).publish.items(), self.store_name(secret)
        carried = self.manifest.stores[self.manifest.store_of(secret)].derives
        return tuple(
            Derived(name, view.store_name or name, Form(view.store_as), of)
            for name, view in views
            if view.store_as and view.store_as in carried
        )

    def engine(self, secret: str, listener: Listener | None = None) -> Engine:
        """The engine for one secret.

        Raises:
            NotAvailable: its kind, its store or one of its consumers is not built.
            AdapterError: the store cannot be opened.
        """
        rotator = self.rotator(secret)
        if not available(rotator.overlap, rotator.shape):
            raise NotAvailable(f"rotating kind {rotator.kind!r}")
        parts = Parts(
            name=secret,
            entry=self.store_name(secret),
            store=self.store(secret),
            escrow=self.escrow,
            rotator=rotator,
            consumers=self.consumers(secret),
            publish=partial(self.published, secret),
            policy=self.policy(secret),
            copies=self.copies(secret),
            place=self.place(secret),
        )
        make_directory(self._locks)
        return Engine(
            parts,
            journal=self.journal,
            clock=self.clock,
            worker=actor(),
            locks=self._locks,
            listener=listener or self._listener,
            stopping=self._stopping,
        )

    def served(self, secret: str) -> Served:
        """What it takes to bring this secret to its consumers without a rotation. Raises NotAvailable, AdapterError."""
        make_directory(self._locks)
        publish, lock = partial(self.published, secret), self._locks / f"{secret}.lock"
        store, entry, copies = self.store(secret), self.store_name(secret), self.copies(secret)
        return Served(secret, entry, store, self.consumers(secret), publish, lock, copies)

    def policy(self, secret: str) -> Policy:
        """What the manifest demands of this secret's rotations."""
        table = self.manifest.secret(secret)
        users = {name: self.manifest.consumers[name] for name in table.consumers}
        return demanded(table, users, claim=self._claim, looks=self._looks)

    def close(self) -> None:
        """Let go of what is open."""
        for part in (*self._made.values(), self.__dict__.pop("journal", None)):
            close = getattr(part, "close", None)
            if close is not None:
                close()
        self._made.clear()

    def _make(self, room: Room, name: str, kind: str, table: object) -> Any:  # noqa: ANN401 - what the table of kinds says
        if (room, name) not in self._made:
            line = find(room, kind)
            if line is None or line.adapter is None:
                raise NotAvailable(f"kind {kind!r} ({name})")
            made = function(line.adapter)(table, self._surroundings(name))
            self._made[room, name] = self._around(room, made)
        return self._made[room, name]

    def _surroundings(self, name: str) -> Surroundings:
        manifest, state = self.manifest, self.state
        tables = manifest.secrets.values()
        return Surroundings(
            name,
            manifest.service,
            manifest.environment,
            state.directory,
            state.key_file,
            self.bundle,
            self.clock,
            {view: published.env for one in tables for view, published in one.publish.items() if published.env},
        )


def assemble(
    manifest: Manifest,
    *,
    listener: Listener = silent,
    stopping: Callable[[], bool] = lambda: False,
) -> Assembly:
    """Everything that the manifest declares; nothing is opened before it is asked for."""
    return Assembly(manifest, listener=listener, stopping=stopping)
