"""What the vault would let this identity do, asked by requests that cannot change anything.

Azure looks at the right of who asks before it looks at what is asked for. So a version that cannot exist is read and
updated (404: the right is there), and a value is written without a value, which the REST reference requires (400: the
right is there). 403 is that it is missing. Any other answer is no answer (docs/stores/azure-key-vault.md).
"""

import shlex
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_hex
from typing import Final, Literal

from keyturn.core.errors import AdapterError
from keyturn.core.rights import Leave, Right
from keyturn.stores.azure_key_vault.errors import FIREWALL, OFFICERS, Refusal
from keyturn.stores.azure_key_vault.names import check_name, is_sibling, sibling

Method = Literal["GET", "PUT", "PATCH"]
Ask = Callable[[Method, str, str], Refusal]
"""Asks by that method for that entry and version, with an empty object as body; the answer, whatever it is."""

OFFICER: Final = OFFICERS["secret"]
_VERBS: Final[dict[Method, str]] = {"GET": "read", "PUT": "write", "PATCH": "disable versions of"}
_REFUSED_AFTER: Final[dict[Method, int]] = {
    "GET": HTTPStatus.NOT_FOUND,
    "PUT": HTTPStatus.BAD_REQUEST,
    "PATCH": HTTPStatus.NOT_FOUND,
}
"""What is said to somebody who has the right, and asks for what cannot be."""


@dataclass(frozen=True, slots=True)
class Mend:
    """Who would get a role, and where: empty where the manifest does not say it."""

    client_id: str = ""
    resource_id: str = ""

    def line(self, entry: str) -> str:
        """The command that grants it, with capitals where somebody has to fill in."""
        who = f"--assignee {self.client_id}" if self.client_id else "--assignee-object-id OBJECT-ID-OF-KEYTURN"
        scope = shlex.quote(f"{self.resource_id or 'RESOURCE-ID-OF-THE-VAULT'}/secrets/{entry}")
        return f'az role assignment create {who} --role "{OFFICERS["secret"]}" --scope {scope}'


NOBODY: Final = Mend()
"""Where nothing is known of it."""


def rights(ask: Ask, names: Collection[str], mend: Mend) -> tuple[Right, ...]:
    """What a rotation of each name needs, at the name itself and at its sibling. Raises AdapterError."""
    return tuple(right for name in names for right in _of(ask, check_name(name), mend))


def _of(ask: Ask, name: str, mend: Mend) -> Iterator[Right]:
    """The sibling first: whether the vault refuses what has no value is learned where nobody reads."""
    safe = False
    for entry in (sibling(name), name):
        said: dict[tuple[Leave, str], list[str]] = {}
        for method in _VERBS:
            if method == "PUT" and not is_sibling(entry) and not safe:
                answer = (Leave.UNKNOWN, f"it is asked when {sibling(name)!r} may be written")
            else:
                answer = _leave(ask, method, entry)
            safe = safe or (method == "PUT" and answer[0] is Leave.GRANTED)
            said.setdefault(answer, []).append(_VERBS[method])
        for (leave, why), verbs in said.items():
            line = "" if leave is Leave.GRANTED else mend.line(entry)
            yield Right(f"{', '.join(verbs)} {entry!r}", leave, line, why)


def _leave(ask: Ask, method: Method, entry: str) -> tuple[Leave, str]:
    try:
        refusal = ask(method, entry, "" if method == "PUT" else token_hex(16))
    except AdapterError as failure:
        return Leave.UNKNOWN, failure.message
    if refusal.status == _REFUSED_AFTER[method]:
        return Leave.GRANTED, ""
    if refusal.status == HTTPStatus.FORBIDDEN and refusal.inner not in FIREWALL:
        return Leave.DENIED, ""
    if refusal.status == HTTPStatus.FORBIDDEN:
        return Leave.UNKNOWN, "its firewall turns this host away"
    if refusal.deleted:
        return Leave.UNKNOWN, "a deleted secret still holds the name: az keyvault secret recover"
    return Leave.UNKNOWN, f"the vault answered {refusal.status} {refusal.code}".strip()
