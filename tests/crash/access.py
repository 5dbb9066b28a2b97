"""What a Key Vault was asked, line by line, and what must hold of it: an oracle beside that of the harness.

The vault's side keeps the list (`tests.crash.vault`): methods, paths, tags and ids; never a value, never a token.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

SIBLING = "--kt-pending"
TAGS = frozenset({"kt-op", "kt-for", "kt-seq", "kt-mark"})
WHOSE = "kt-env"
"""The tag beside these, where a manifest says whose the vault is."""
NOTHING_DONE = frozenset({401, 403, 404, 409, 429})
"""By these the vault says that it did nothing: what was sent may be sent again."""
UNSIGNED = 401


@dataclass(frozen=True, slots=True)
class Access:
    """One request to the vault.

    Attributes:
        method, path: what was asked.
        signed: whether it had a token that is good.
        content: whether anything was sent along.
        tags, enabled: of a write, what it says of the version.
        fault: what went wrong with it, in the words of the harness.
        effect: what the vault answered, 0 where the request did not come so far.
        told: what the client was told, 0 where it got no answer.
        made: the id of the version that the vault speaks of in its answer.
    """

    method: str
    path: str
    signed: bool = True
    content: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    enabled: bool | None = None
    fault: str = ""
    effect: int = 200
    told: int = 200
    made: str = ""

    @property
    def entry(self) -> str:
        """The entry of the vault; empty where it is of none."""
        parts = self.path.split("/")
        return parts[2] if parts[1] == "secrets" and len(parts) > 2 else ""

    @property
    def version(self) -> str:
        """The version that is named, `versions` for the list of them, empty for the newest."""
        return self.path.split("/")[3] if self.path.count("/") > 2 else ""

    @property
    def done(self) -> bool:
        """Whether the vault did it."""
        return self.effect == 200

    def line(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def read(cls, path: Path) -> list[Self]:
        """All that were kept there."""
        return [cls(**json.loads(line)) for line in path.read_text().splitlines()]


class Laws:
    """The laws over a list of requests, for one secret.

    Args:
        name: of the secret: its entry and its sibling are all that may be asked for.

    Attributes:
        promoted: the attempts that became the newest version of the name itself, in order.
    """

    def __init__(self, name: str) -> None:
        self._name, self._sibling = name, name + SIBLING
        self._copies: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._off: set[str] = set()
        self._unsure: set[tuple[str, str]] = set()
        self.promoted: list[str] = []

    def broken(self, accesses: Iterable[Access]) -> Iterator[str]:
        """What did not hold, one sentence each."""
        for number, access in enumerate(accesses, 1):
            for law in (self._unsigned, self._asked, self._put, self._patch, self._read):
                for sentence in law(access):
                    yield f"request {number}, {access.method} {access.path}: {sentence}"
            self._remember(access)

    def left_on(self, current: str) -> Iterator[str]:
        """Copies of other attempts than the current one that can still be read, when no rotation is open."""
        for entry, copies in self._copies.items():
            for made, attempt in copies:
                if made not in self._off and attempt != current:
                    yield f"a copy of {attempt} in {entry} was not switched off"

    # --- laws --------------------------------------------------------------------------------

    @staticmethod
    def _unsigned(access: Access) -> Iterator[str]:
        """Nothing is sent before the vault has said who it is, and nothing is told to who did not sign in."""
        if not access.signed and access.content:
            yield "content was sent without a token"
        if not access.signed and access.told not in {0, UNSIGNED}:
            yield "it was answered without a token"

    def _asked(self, access: Access) -> Iterator[str]:
        """Only this secret and its sibling, and never to delete, purge, recover or back up.

        The list of all secrets has no value. It is asked for before the first write: whose is the vault?
        """
        if access.method not in {"GET", "PUT", "PATCH"}:
            yield "nothing is ever deleted, purged or recovered"
        listed = (access.method, access.path) == ("GET", "/secrets") and not any(self._copies.values())
        if not listed and access.entry not in {self._name, self._sibling}:
            yield "this is no entry of the rotation"

    def _put(self, access: Access) -> Iterator[str]:
        if access.method != "PUT" or not access.signed:
            return
        attempt, entry = access.tags.get("kt-op", ""), access.entry
        if set(access.tags) - {WHOSE} != TAGS or access.tags.get("kt-for") != self._name or access.enabled is not True:
            yield "a version is written without Keyturn's tags, or switched off"
        if (entry, attempt) in self._unsure:
            yield "it was written again without a look between"
        copies = [copied for _, copied in self._copies[entry]]
        again = copies[-1:] if entry == self._name else copies
        if attempt in again:
            yield "this attempt is there already"
        if entry == self._name and attempt not in [staged for _, staged in self._copies[self._sibling]]:
            yield "this attempt was never pending in the sibling"

    def _patch(self, access: Access) -> Iterator[str]:
        if access.method != "PATCH" or not access.signed:
            return
        if access.enabled is not False or access.tags or not access.version:
            yield "a version is only ever switched off, by its own id"
        if access.version in {made for made, _ in self._copies[self._name][-1:]}:
            yield "the current version was switched off"
        if (access.entry, access.version) in self._unsure:
            yield "it was written again without a look between"

    def _read(self, access: Access) -> Iterator[str]:
        """A version of which one copy is off is retired: its content is asked for by nobody."""
        copies = [copy for several in self._copies.values() for copy in several]
        retired = {attempt for made, attempt in copies if made in self._off}
        if access.method == "GET" and access.version in {made for made, attempt in copies if attempt in retired}:
            yield "a retired version was read"

    # --- what the list says ------------------------------------------------------------------

    def _remember(self, access: Access) -> None:
        if access.method == "GET" and not access.fault and access.version in {"", "versions"}:
            self._unsure = {key for key in self._unsure if key[0] != access.entry}
        elif access.method == "PUT" and access.signed:
            attempt = access.tags.get("kt-op", "")
            if access.done:
                self._copies[access.entry].append((access.made, attempt))
                self.promoted += [attempt] if access.entry == self._name else []
            self._note_unsure(access, attempt)
        elif access.method == "PATCH" and access.signed:
            if access.done:
                self._off.add(access.version)
            self._note_unsure(access, access.version)

    def _note_unsure(self, access: Access, what: str) -> None:
        if access.told not in NOTHING_DONE:
            self._unsure.add((access.entry, what))
