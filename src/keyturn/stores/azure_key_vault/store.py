"""The contract of a store over one Key Vault, which has no staging, no compare-and-swap and no order.

What is pending waits in a sibling of a fixed name; promoting writes the content again as the newest version of the name
itself; retiring disables every copy by its own id. Nothing is ever deleted: that would block the name.
"""

import codecs
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import AdapterError, Conflict, Disabled, OutcomeUnknown, TooLarge
from keyturn.core.key_vault import VIEW, mark_of
from keyturn.core.protection import Protection
from keyturn.core.rights import Right
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.version import Version
from keyturn.stores.azure_key_vault.certificates import Certificates
from keyturn.stores.azure_key_vault.copies import Copies, Shelf
from keyturn.stores.azure_key_vault.currents import Currents
from keyturn.stores.azure_key_vault.entries import (
    Copy,
    copies_of,
    copy_of,
    next_seq,
    opened,
    tags_again,
    tags_of,
    versions_of,
)
from keyturn.stores.azure_key_vault.held import Held, not_found
from keyturn.stores.azure_key_vault.keys import Keys
from keyturn.stores.azure_key_vault.names import FOREIGN, check_attempt, check_name, is_name, is_sibling, owner, sibling
from keyturn.stores.azure_key_vault.protection import protection
from keyturn.stores.azure_key_vault.resource_manager import AzureResource
from keyturn.stores.azure_key_vault.rights import NOBODY, Mend, rights
from keyturn.stores.azure_key_vault.texts import Texts
from keyturn.stores.azure_key_vault.vault import KeyVault
from keyturn.stores.azure_key_vault.whose import Pin, Whose

MAX_BYTES = 25 * 1024
"""Azure's limit of a value is 25 KB (learn.microsoft.com/azure/key-vault/general/service-limits); a bundle is ASCII."""

LOOKS = (0.2, 1.0, 3.0)
"""Seconds before each look after a write that was not answered."""


class AzureKeyVault:
    """A store in Azure Key Vault (docs/stores/azure-key-vault.md).

    Args:
        vault: its requests.
        whose: the service and environment whose vault it must be; None lets every one pass.
        mend: how a missing right is granted.
        manager: where the vault stands, None where that is not declared.
        looks: seconds before each look after a write that was not answered.
        pause: waits so many seconds.
    """

    kind = "azure-key-vault"
    cas = False
    max_bytes = MAX_BYTES

    def __init__(  # noqa: PLR0913 - one vault and what is known of it, all but one by name
        self,
        vault: KeyVault,
        *,
        whose: Whose | None = None,
        mend: Mend = NOBODY,
        manager: AzureResource | None = None,
        looks: tuple[float, ...] = LOOKS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._vault = vault
        certificates, keys = Certificates(vault.reach), Keys(vault.reach)
        shelves: Mapping[Form, Shelf] = {Form.SECRET: Texts(vault), Form.CERTIFICATE: certificates, Form.KEY: keys}
        self._asks = {Form.SECRET: vault.said, Form.CERTIFICATE: certificates.said, Form.KEY: keys.said}
        self._copies = Copies(vault.url, shelves, self._write)
        self._pin = Pin(vault, whose)
        self._mend, self._manager = mend, manager
        self._looks = looks
        self._pause = pause

    @property
    def asked(self) -> int:
        """How many requests have left for the vault so far."""
        return self._vault.asked

    def read(self, name: str, version: str) -> Bundle:
        """The content of exactly that version. Raises NotFound, Disabled, Corrupt, Unsupported."""
        check_name(name)
        latest = None
        with suppress(Disabled):  # older versions are readable all the same, and the list tells of this one
            latest = self._latest(name)
        if latest is not None and latest[0].version == version:
            return opened(latest[1], latest[0], name)
        copy = self._held(name).usable(name, version)
        return opened(self._vault.content(copy.entry.secret, copy.entry.id), copy, name)

    def current(self, name: str) -> str | None:
        """What Key Vault gives as the newest version. It has no way to say so without the value, which is dropped.

        Raises:
            Disabled: the newest version is switched off, so that every ordinary reader is turned away.
        """
        latest = self._latest(check_name(name))
        return latest[0].version if latest else None

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions, oldest first. Raises Disabled as `current` does."""
        held = self._held(check_name(name))
        return versions_of(held.copies, self._newest(name, held))

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """Write `bundle` to the sibling of the name, and return the attempt, which is the version's id.

        Raises:
            Conflict: the attempt holds other bytes.
            TooLarge: Key Vault takes no such value; nothing was sent.
            OutcomeUnknown: no answer came, and it was not seen there since.
        """
        check_name(name)
        check_attempt(attempt)
        _check_size(bundle)
        held, mark = self._held(name), mark_of(bundle)
        if held.knows(name, attempt, mark):
            return attempt
        self._pin.check_vault(held.copies)
        text = SecretValue(codecs.decode(bundle.reveal(), "ascii"))
        tags = {**tags_of(name, attempt, next_seq(held.copies), mark), **self._pin.tag}
        self._write(
            lambda: self._vault.put(sibling(name), text, tags),
            lambda: bool(self._held(name).of(attempt)),
        )
        return attempt

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """Write the attempt's content again, as the newest version of the name itself.

        Between the look at the current version and the write somebody else may write, too: Key Vault has no fence. What
        came in between is looked for afterwards.

        Raises:
            Conflict: the current version is not the expected one; or somebody else wrote at the same moment.
            NotFound: no such attempt.
            Disabled: the attempt is retired; or the newest version is switched off.
            OutcomeUnknown: no answer came, and it was not seen there since.
        """
        latest = self._latest(check_name(name))
        current = latest[0].version if latest else None
        if current == attempt:
            return attempt
        held = self._held(name)
        copy = held.usable(name, attempt)
        if current != expect_current:
            raise Conflict(f"{name!r} has another current version than the one that was expected")
        self._pin.check_vault(held.copies)
        text = self._vault.content(copy.entry.secret, copy.entry.id)
        if not copy.foreign:
            opened(text, copy, name)
        self._write(
            lambda: self._vault.put(name, text, {**tags_again(copy, name), **self._pin.tag}),
            lambda: any(one.version == attempt for one in self._since(name, held)),
        )
        self._check_alone(name, held, attempt)
        return attempt

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        """Write `bundle` as the newest version of the name itself, without a copy in the sibling.

        Raises:
            Conflict: the current version is not the expected one; the attempt holds other bytes; or somebody else
                wrote at the same moment.
            TooLarge: Key Vault takes no such value; nothing was sent.
            Disabled: the attempt is retired; or the newest version is switched off.
            OutcomeUnknown: no answer came, and it was not seen there since.
        """
        check_name(name)
        check_attempt(attempt)
        _check_size(bundle)
        latest = self._latest(name)
        current = latest[0].version if latest else None
        held, mark = self._held(name), mark_of(bundle)
        if held.knows(name, attempt, mark):
            return self.promote(name, attempt, expect_current)
        if current != expect_current:
            raise Conflict(f"{name!r} has another current version than the one that was expected")
        self._pin.check_vault(held.copies)
        text = SecretValue(codecs.decode(bundle.reveal(), "ascii"))
        tags = {**tags_of(name, attempt, next_seq(held.copies), mark), **self._pin.tag}
        self._write(
            lambda: self._vault.put(name, text, tags),
            lambda: any(one.version == attempt for one in self._since(name, held)),
        )
        self._check_alone(name, held, attempt)
        return attempt

    def retire(self, name: str, version: str) -> bool:
        """Disable every copy of that version, each by Azure's own id of it. Always takes effect.

        Raises:
            Conflict: it is the current one.
            NotFound: no such version.
            OutcomeUnknown: no answer came, and it was not seen to be disabled since.
        """
        held = self._held(check_name(name))
        copies = held.of(version)
        if not copies:
            raise not_found(name, version)
        newest = self._newest(name, held) if any(not is_sibling(copy.entry.secret) for copy in copies) else None
        if newest in {copy.entry.id for copy in copies}:
            raise Conflict(f"version {version} is the current one of {name!r}")
        self._pin.check_vault(held.copies)
        self._disable_all(name, tuple(copy for copy in copies if copy.entry.enabled))
        return True

    def names(self) -> tuple[str, ...]:
        """All names that hold a version, sorted; not of certificates or copies, nor any that Keyturn cannot hold."""
        found: dict[str, str] = {}
        for entry in sorted(self._pin.all(), key=lambda entry: is_sibling(entry.secret)):
            if not entry.managed and VIEW not in entry.tags and is_name(owner(entry.secret)):
                found.setdefault(owner(entry.secret).casefold(), owner(entry.secret))
        return tuple(sorted(found.values()))

    def currents(self) -> Mapping[str, str]:
        """The current version of every name, by one request for 25 entries of the vault and without any value.

        A name whose newest version is disabled is left out, since no reader gets anything: `current` says why.
        """
        told: dict[str, str | None] = {}
        for entry in self._pin.all():
            name = entry.secret
            if entry.enabled and not entry.managed and VIEW not in entry.tags and is_name(name):
                copy = copy_of(entry, name)
                told[name] = copy.version if copy.version != FOREIGN else None
        return Currents(told, self._look_up)

    def derive(self, copy: Derived, version: str, content: SecretValue, mark: str) -> None:
        """Let a derived copy show `version`. Raises Conflict, Disabled, Unsupported, TooLarge, OutcomeUnknown."""
        self._copies.derive(copy, version, content, mark)

    def shows(self, copy: Derived) -> str | None:
        """The version that a derived copy shows. Raises Disabled."""
        return self._copies.shows(copy)

    def shown(self, copies: Iterable[Derived]) -> Mapping[Derived, str]:
        """The same for many, by one request for 25 entries of each form and without any value."""
        return self._copies.shown(copies)

    def withdraw(self, copy: Derived, version: str) -> None:
        """Disable what a derived copy has of that version. Raises Conflict where it is the newest."""
        self._copies.withdraw(copy, version)

    def rights(self, names: Collection[str], copies: Collection[Derived] = ()) -> tuple[Right, ...]:
        """What this identity may do: six requests for a name, three for each of its copies; none changes anything."""
        return rights(self._asks, names, self._mend, copies)

    def protection(self) -> Protection:
        """Tenant, keys and log of the vault; what cannot be seen is said there."""
        return protection(self._vault, self._manager)

    def _latest(self, name: str) -> tuple[Copy, SecretValue] | None:
        """The newest version with its value. Raises Disabled."""
        try:
            found = self._vault.newest(name)
        except Disabled:
            failure = Disabled(
                f"the newest version of {name!r} in {self._vault.url} is disabled: every reader is turned away",
                f"enable it in the vault (az keyvault secret set-attributes --id {self._vault.url}/secrets/{name}"
                " --enabled true); to lock a leaked value out, write a new one first, then disable the old by its id",
            )
        else:
            return (self._pin.ours(copy_of(found[0], name)), found[1]) if found else None
        raise failure

    def _held(self, name: str) -> Held:
        main = self._vault.versions(name)
        waiting = self._vault.versions(sibling(name))
        copies = copies_of((*main, *waiting), name)
        if copies:
            self._pin.ours(*copies)
        return Held(copies, frozenset(entry.id for entry in main))

    def _newest(self, name: str, held: Held) -> str | None:
        """Azure's id of the newest version; without reading a value where there is but one."""
        main = [copy.entry for copy in held.copies if copy.entry.id in held.main]
        if len(main) <= 1 and all(entry.enabled for entry in main):
            return main[0].id if main else None
        latest = self._latest(name)
        return latest[0].entry.id if latest else None

    def _look_up(self, name: str) -> str | None:
        held = self._held(name)
        newest = self._newest(name, held)
        return next((copy.version for copy in held.copies if copy.entry.id == newest), None)

    def _since(self, name: str, before: Held) -> tuple[Copy, ...]:
        """What was written to the name itself since."""
        entries = self._vault.versions(name)
        return copies_of((entry for entry in entries if entry.id not in before.main), name)

    def _check_alone(self, name: str, before: Held, attempt: str) -> None:
        """Look who else wrote at that moment.

        Raises:
            Conflict: a stranger, or another worker of Keyturn after us.
            OutcomeUnknown: the look failed. Promoting again then finds it promoted.
        """
        try:
            others = tuple(copy for copy in self._since(name, before) if copy.version != attempt)
            latest = self._latest(name) if others else None
        except AdapterError as error:
            said = f"{name!r} was promoted, and the look behind it failed: {error.message}"
            raise OutcomeUnknown(said, error.remedy) from error
        newest = latest[0].version if latest else attempt
        if newest != attempt:
            raise Conflict(f"{name!r} was written again right after it was promoted: version {newest} is current now")
        if strangers := [copy.version for copy in others if copy.foreign]:
            raise Conflict(
                f"somebody else wrote {name!r} while it was promoted: their version {strangers[0]} lies under ours",
                "find out who writes there besides Keyturn; repeating the command goes on with our version",
            )

    def _disable_all(self, name: str, copies: tuple[Copy, ...]) -> None:
        """One after the other; a failure after the first leaves something changed, and must not say otherwise."""
        for n, copy in enumerate(copies):
            try:
                self._disable(name, copy)
            except AdapterError as error:
                if n == 0:
                    raise
                said = f"version {copy.version} of {name!r} is switched off in part: {error.message}"
                raise OutcomeUnknown(said, error.remedy) from error

    def _disable(self, name: str, copy: Copy) -> None:
        def is_off() -> bool:
            return any(not one.entry.enabled for one in self._held(name).copies if one.entry.id == copy.entry.id)

        self._write(lambda: self._vault.disable(copy.entry.secret, copy.entry.id), is_off)

    def _write(self, send: Callable[[], None], landed: Callable[[], bool]) -> None:
        """Send once. Where no answer comes, look a few times whether it happened; never send again."""
        try:
            return send()
        except OutcomeUnknown as error:
            unknown = error
        for seconds in self._looks:
            self._pause(seconds)
            with suppress(AdapterError):
                if landed():
                    return None
        raise unknown


def _check_size(bundle: Bundle) -> None:
    """Raises TooLarge where Key Vault takes no such value."""
    if len(bundle.reveal()) > MAX_BYTES:
        raise TooLarge(f"a bundle of more than {MAX_BYTES} bytes does not fit into Key Vault")
