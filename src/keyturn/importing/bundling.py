"""The bundle of one secret out of the pieces that were found of it: they must agree, belong together, and be whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from keyturn.core.errors import UsageError
from keyturn.core.finding import Finding, Severity
from keyturn.core.secret import Bundle, SecretValue
from keyturn.importing.judging import is_short
from keyturn.importing.pairs import certificate_doubts, identity_of, signing
from keyturn.importing.plan import Ready
from keyturn.manifest.kinds.jwt import Options as Jwt
from keyturn.manifest.kinds.tls import Options as Tls
from keyturn.manifest.secret import SecretTable
from keyturn.stores.taking import Entry

PUBLIC = frozenset(
    {"username", "certificate", "chain", "ca_bundle", "public_key", "kid", "jwks", "key_name", "key_id", "fallbacks"}
)
"""Fields that are no secret by themselves, whatever the kind."""

MAY_BE_EMPTY = frozenset({"fallbacks", "chain", "ca_bundle", "key_name", "key_id"})
"""Fields that say by an empty value that there is none of it."""

_LATER = "it is taken as it is; bring a better one when it is changed next"

Fields: TypeAlias = dict[str, SecretValue]


@dataclass(frozen=True, slots=True)
class Piece:
    """One field as one entry has it."""

    entry: Entry
    value: SecretValue


Pieces: TypeAlias = dict[str, list[Piece]]


def bundled(name: str, table: SecretTable, pieces: Pieces, now: datetime) -> tuple[Ready | None, list[Finding]]:
    """The bundle, or None with what stands in the way.

    Args:
        name: of the secret.
        table: what is declared of it.
        pieces: what was found of each field, one at least.
        now: for the dates of certificates.
    """
    findings = list(_disagreements(name, pieces))
    fields = {field: found[0].value for field, found in pieces.items()}
    findings += _accounts(name, table, pieces)
    if any(one.severity is Severity.CRITICAL for one in findings):
        return None, findings
    try:
        filled, doubts = _filled(table, fields, now)
    except UsageError as error:
        return None, [*findings, Finding("import-form", name, Severity.CRITICAL, error.message, error.remedy)]
    findings += [Finding("import-doubt", name, Severity.WARNING, doubt, _LATER) for doubt in doubts]
    whole = {**filled, **fields}
    if missing := [field for field in table.bundle if field not in whole]:
        keys = sorted({piece.entry.key for found in pieces.values() for piece in found})
        said = f"{', '.join(missing)} of {name} was found nowhere"
        remedy = f"--map NAME={name}.{missing[0]}, or leave the rest with --map {keys[0]}=ignore"
        return None, [*findings, Finding("import-incomplete", name, Severity.CRITICAL, said, remedy)]
    findings += _short(name, fields)
    sources = tuple(dict.fromkeys(str(piece.entry.source) for found in pieces.values() for piece in found))
    bundle = Bundle({field: whole[field].reveal() for field in table.bundle})
    return Ready(name, bundle, sources, tuple(sorted(filled.keys() - fields.keys()))), findings


def _disagreements(name: str, pieces: Pieces) -> Iterator[Finding]:
    for field, found in pieces.items():
        for other in found[1:]:
            if not _agree(field, found[0].value, other.value):
                places = " and ".join(_place(piece.entry) for piece in (found[0], other))
                said = f"{places} do not agree on {name}.{field}"
                remedy = f"find out which one is in use, and --map {other.entry.key}=ignore or make them equal"
                yield Finding("import-differs", name, Severity.CRITICAL, said, remedy)


def _agree(field: str, first: SecretValue, second: SecretValue) -> bool:
    """Public keys are compared by what they are, all else by the letter."""
    if field == "public_key" and (known := identity_of(first)) is not None:
        return identity_of(second) == known
    return first == second


def _place(entry: Entry) -> str:
    return str(entry.source) if entry.line is None else f"{entry.key} ({entry.source}:{entry.line})"


def _accounts(name: str, table: SecretTable, pieces: Pieces) -> Iterator[Finding]:
    """A credential that Keyturn is to change must be one of the users that are declared."""
    found = pieces.get("username", [])
    if not found or not table.accounts or any(found[0].value == SecretValue(one) for one in table.accounts):
        return
    key = found[0].entry.key
    said = f"the user in {_place(found[0].entry)} is none that {name} declares ({', '.join(table.accounts)})"
    remedy = f"declare it in target, or leave it with --map {key}=ignore"
    if table.kind == "postgres":
        remedy = (
            f"leave it with --map {key}=ignore (and whatever else is of {name}), take the database over with "
            f"keyturn adopt {name}, then keyturn provision {name}"
        )
    yield Finding("import-undeclared", name, Severity.CRITICAL, said, remedy)


def _short(name: str, fields: Fields) -> Iterator[Finding]:
    for field, value in fields.items():
        if field not in PUBLIC and is_short(value):
            said = f"{name}.{field} is shorter than a credential should be"
            yield Finding("import-short", name, Severity.WARNING, said, "it is taken as it is; change it soon")


def _filled(table: SecretTable, fields: Fields, now: datetime) -> tuple[Fields, tuple[str, ...]]:
    """Fields that no source has and that are known all the same, and what is doubtful of those that were found.

    Raises:
        UsageError: a key or certificate that is none, or does not belong to the other.
    """
    if isinstance(table, Jwt):
        return _signing(table, fields)
    filled = {field: SecretValue(known) for field, known in table.follows.items()}
    if isinstance(table, Tls) and {"certificate", "private_key"} <= fields.keys():
        return filled, _certified(table, fields, now)
    return filled, ()


def _signing(table: Jwt, fields: Fields) -> tuple[Fields, tuple[str, ...]]:
    if table.target.algorithm == "HS256":
        raise UsageError("a key for HS256 cannot be taken in by this version", "leave it with --map NAME=ignore")
    if "private_key" not in fields:
        return {}, ()
    made = signing(fields["private_key"], table.target.algorithm)
    if "public_key" in fields and identity_of(fields["public_key"]) != identity_of(fields["private_key"]):
        raise UsageError("the public key does not belong to the private key", "find the pair that is in use")
    return {
        "public_key": SecretValue(made.public_key),
        "kid": SecretValue(made.kid),
        "jwks": SecretValue(made.jwks),
    }, made.doubts


def _certified(table: Tls, fields: Fields, now: datetime) -> tuple[str, ...]:
    mine = identity_of(fields["private_key"])
    if mine is None:
        raise UsageError("the private key of the certificate cannot be read", "PEM without a passphrase")
    doubts = certificate_doubts(fields["certificate"], fields.get("chain"), table.target.names, now)
    if identity_of(fields["certificate"]) != mine:
        raise UsageError("the private key does not belong to the certificate", "find the pair that is in use")
    return doubts
