"""Whether pg_hba.conf treats the new roles as it treats the existing ones. The first line that matches decides."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from keyturn.rotators.postgres.adopt_survey import Member, Rule

SCRAM = frozenset({"scram-sha-256", "md5", "reject"})
"""Methods that Keyturn's log-ins live with: with a SCRAM verifier stored, `md5` asks for SCRAM, too."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Lines that one user meets and the other does not."""

    existing: str
    role: str
    only_existing: tuple[Rule, ...]
    only_role: tuple[Rule, ...]


def groups(members: Iterable[Member], role: str, joins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The role and all roles it is a member of, `joins` being what it and others will join."""
    edges: dict[str, set[str]] = {name: set(into) for name, into in joins.items()}
    for one in members:
        edges.setdefault(one.member, set()).add(one.group)
    found, left = {role}, [role]
    while left:
        new = edges.get(left.pop(), set()) - found
        found |= new
        left += sorted(new)
    return frozenset(found)


def met(rules: Iterable[Rule], dbname: str, user: str, its_groups: frozenset[str]) -> tuple[Rule, ...]:
    """The lines that match a log-in of that user to that database, whatever the address."""
    return tuple(
        rule
        for rule in rules
        if any(_database(token, dbname, user, its_groups) for token in rule.databases)
        and any(_user(token, user, its_groups) for token in rule.users)
    )


def difference(
    rules: tuple[Rule, ...], dbname: str, existing: tuple[str, frozenset[str]], role: tuple[str, frozenset[str]]
) -> Difference | None:
    """How the two are treated differently; None when they are not."""
    theirs, ours = _treatments(met(rules, dbname, *existing)), _treatments(met(rules, dbname, *role))
    if list(theirs) == list(ours):
        return None
    return Difference(
        existing[0],
        role[0],
        tuple(rule for treatment, rule in theirs.items() if treatment not in ours),
        tuple(rule for treatment, rule in ours.items() if treatment not in theirs),
    )


def _treatments(rules: Iterable[Rule]) -> dict[tuple[object, ...], Rule]:
    """What the lines do, in order; a second line for the same connections is never come to."""
    found: dict[tuple[object, ...], Rule] = {}
    for rule in rules:
        found.setdefault((rule.type, rule.address, rule.netmask, rule.method, rule.options), rule)
    return found


def advice(difference: Difference, roles: tuple[str, ...]) -> Iterator[str]:
    """What a person changes in the file."""
    if not difference.only_existing + difference.only_role:
        yield f"pg_hba.conf: {difference.role} meets the lines that {difference.existing} meets in another order"
    for rule in difference.only_existing:
        users = dict.fromkeys((*rule.users, *roles))
        reaches = f"reaches {difference.existing} and not {difference.role}"
        yield f"pg_hba.conf line {rule.line} {reaches}: write {_line(rule, users)}"
    for rule in difference.only_role:
        reaches = f"reaches {difference.role} and not {difference.existing}"
        yield f"pg_hba.conf line {rule.line} {reaches}: {_line(rule, rule.users)}"


def _line(rule: Rule, users: Iterable[str]) -> str:
    where = f"{rule.address} {rule.netmask}" if rule.netmask and "/" not in rule.address else rule.address
    parts = (
        rule.type,
        ",".join(map(_word, rule.databases)),
        ",".join(map(_word, users)),
        where,
        rule.method,
        *rule.options,
    )
    return " ".join(part for part in parts if part)


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w+/.$-]+", text) else '"' + text.replace('"', '""') + '"'


def _database(word: str, dbname: str, user: str, its_groups: frozenset[str]) -> bool:
    if word == "sameuser":
        return dbname == user
    if word in {"samerole", "samegroup"}:
        return dbname in its_groups
    return word == "all" or (word != "replication" and _same(word, dbname))


def _user(word: str, user: str, its_groups: frozenset[str]) -> bool:
    if word.startswith("+"):
        return word[1:] in its_groups
    return word == "all" or _same(word, user)


def _same(word: str, name: str) -> bool:
    """The name itself, or from PostgreSQL 16 on a regular expression behind a slash."""
    if not word.startswith("/"):
        return word == name
    try:
        return re.search(word[1:], name) is not None
    except re.error:
        return False
