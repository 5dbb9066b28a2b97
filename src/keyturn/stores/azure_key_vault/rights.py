"""What the vault would let this identity do, asked by requests that cannot change anything.

Azure looks at the right of who asks before it looks at what is asked for. So a version that cannot exist is read and
updated (404: the right is there), and a value is written without a value, which the REST reference requires (400: the
right is there); a certificate and a key are imported without one. 403 is that it is missing. Any other answer is no
answer (docs/stores/azure-key-vault.md).
"""

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_hex
from typing import Final, Literal

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import AdapterError
from keyturn.core.rights import Leave, Right
from keyturn.stores.azure_key_vault.errors import FIREWALL, OFFICERS, Refusal
from keyturn.stores.azure_key_vault.names import check_name, is_sibling, same, sibling

Method = Literal["GET", "PUT", "POST", "PATCH"]
Ask = Callable[[Method, str, str], Refusal]
"""Asks by that method for that entry and what follows it, with an empty object as body; whatever the answer is."""

OFFICER: Final = OFFICERS["secret"]
_VERBS: Final[Mapping[Method, str]] = {"GET": "read", "PUT": "write", "PATCH": "disable versions of"}
_METHODS: Final[Mapping[Form, Mapping[Method, str]]] = {
    Form.SECRET: _VERBS,
    Form.CERTIFICATE: {"GET": "read", "POST": "write", "PATCH": "disable versions of"},
    Form.KEY: _VERBS,
}
_REST: Final[Mapping[Method, str]] = {"PUT": "", "POST": "import"}
"""What follows the entry; where nothing is said, a version that cannot be there."""

_REFUSED_AFTER: Final[dict[Method, int]] = {
    "GET": HTTPStatus.NOT_FOUND,
    "PUT": HTTPStatus.BAD_REQUEST,
    "POST": HTTPStatus.BAD_REQUEST,
    "PATCH": HTTPStatus.NOT_FOUND,
}
"""What is said to somebody who has the right, and asks for what cannot be."""


@dataclass(frozen=True, slots=True)
class Mend:
    """Who would get a role, and where: empty where the manifest does not say it."""

    client_id: str = ""
    resource_id: str = ""

    def line(self, entry: str, form: Form = Form.SECRET) -> str:
        """The command that grants it, with capitals where somebody has to fill in."""
        who = f"--assignee {self.client_id}" if self.client_id else "--assignee-object-id OBJECT-ID-OF-KEYTURN"
        scope = shlex.quote(f"{self.resource_id or 'RESOURCE-ID-OF-THE-VAULT'}/{form}s/{entry}")
        return f'az role assignment create {who} --role "{OFFICERS[form]}" --scope {scope}'


NOBODY: Final = Mend()
"""Where nothing is known of it."""


def rights(
    asks: Mapping[Form, Ask], names: Collection[str], mend: Mend, copies: Collection[Derived] = ()
) -> tuple[Right, ...]:
    """What a rotation of each name needs, at its sibling, the name itself and its copies. Raises AdapterError."""
    mine = {name: [copy for copy in copies if same(copy.of, name)] for name in map(check_name, names)}
    return tuple(right for name in mine for right in _of(asks, name, mend, mine[name]))


def _of(asks: Mapping[Form, Ask], name: str, mend: Mend, copies: Collection[Derived]) -> Iterator[Right]:
    """The sibling first: whether the vault refuses what has no value is learned where nobody reads.

    A certificate or a key without one is none, whoever is asked: there is nothing to learn before.
    """
    secrets = ((Form.SECRET, entry) for entry in (sibling(name), name))
    safe = False
    for form, entry in (*secrets, *((copy.form, check_name(copy.entry)) for copy in copies)):
        said: dict[tuple[Leave, str], list[str]] = {}
        for method, verb in _METHODS[form].items():
            if method == "PUT" and form is Form.SECRET and not is_sibling(entry) and not safe:
                answer = (Leave.UNKNOWN, f"it is asked when {sibling(name)!r} may be written")
            else:
                answer = _leave(asks[form], form, method, entry)
            safe = safe or (method == "PUT" and is_sibling(entry) and answer[0] is Leave.GRANTED)
            said.setdefault(answer, []).append(verb)
        what = repr(entry) if form is Form.SECRET else f"the {form} {entry!r}"
        for (leave, why), verbs in said.items():
            line = "" if leave is Leave.GRANTED else mend.line(entry, form)
            yield Right(f"{', '.join(verbs)} {what}", leave, line, why)


def _leave(ask: Ask, form: Form, method: Method, entry: str) -> tuple[Leave, str]:
    try:
        refusal = ask(method, entry, _REST.get(method, token_hex(16)))
    except AdapterError as failure:
        return Leave.UNKNOWN, failure.message
    if refusal.status == _REFUSED_AFTER[method]:
        return Leave.GRANTED, ""
    if refusal.status == HTTPStatus.FORBIDDEN and refusal.inner not in FIREWALL:
        return Leave.DENIED, ""
    if refusal.status == HTTPStatus.FORBIDDEN:
        return Leave.UNKNOWN, "its firewall turns this host away"
    if refusal.deleted:
        return Leave.UNKNOWN, f"a deleted {form} still holds the name: az keyvault {form} recover"
    return Leave.UNKNOWN, f"the vault answered {refusal.status} {refusal.code}".strip()
