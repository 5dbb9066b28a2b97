"""What a manifest may say of a PostgreSQL target, and the mark in a role's comment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import Conflict, NotFound, Unsupported, UsageError
from keyturn.core.rotator import Overlap, Provisions, Rotator
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.rotators.postgres.effect import log_in_with
from keyturn.rotators.postgres.mark import Mark
from keyturn.rotators.postgres.target import Target
from tests.values import matches

GOOD: dict[str, Any] = {
    "hosts": [("db.internal", 5432)],
    "dbname": "clo",
    "owner_role": "clo",
    "roles": ["clo_a", "clo_b"],
    "secret": "database",
    "service": "clo",
    "environment": "production",
}
WORD = st.from_regex(r"[A-Za-z0-9._-]{1,63}", fullmatch=True)


def rotator(**changed: object) -> Postgres:
    """A rotator as the manifest would make it; its admin is never asked here."""
    return Postgres(**{**GOOD, "admin": lambda: Bundle({"value": "unused"}), **changed})


def test_is_a_rotator() -> None:
    """The class is what the engine takes for a rotator that provisions."""
    made: Rotator = rotator()
    assert isinstance(made, Provisions)
    assert made.slots == ("clo_a", "clo_b")
    assert made.overlap is Overlap.TWO_CREDENTIALS


def test_one_role_is_single_slot() -> None:
    """A target with one role has one slot and no overlap, and says so to whoever names another."""
    made = rotator(roles=["clo_a"])
    assert (made.slots, made.overlap) == (("clo_a",), Overlap.NONE)
    with pytest.raises(Conflict, match=r"does not belong to clo_a$"):
        made.slot_of(Bundle({"username": "clo_b", "password": "unused"}))
    with pytest.raises(NotFound, match=r"only clo_a$"):
        made.generate("clo_b")


@pytest.mark.parametrize(
    "changed",
    [
        {"hosts": []},
        {"hosts": [("db", 5432), ("db", 5432)]},
        {"hosts": [("db,evil", 5432)]},
        {"hosts": [("/var/run/postgresql", 5432)]},
        {"hosts": [("@abstract", 5432)]},
        {"hosts": [("db\0.evil", 5432)]},
        {"hosts": [("", 5432)]},
        {"hosts": [("db", 0)]},
        {"hosts": [("db", 65536)]},
        {"dbname": ""},
        {"dbname": "clo\0x"},
        {"dbname": "clo\nx"},
        {"dbname": "host=evil"},
        {"dbname": "postgresql://evil"},
        {"dbname": "é" * 32},
        {"owner_role": "clo_a"},
        {"owner_role": "pg_read_all_data"},
        {"owner_role": "PUBLIC"},
        {"owner_role": "none"},
        {"owner_role": ""},
        {"roles": []},
        {"roles": ["clo"]},
        {"roles": ["clo_a", "clo_a"]},
        {"roles": ["clo_a", "clo_b", "clo_c"]},
        {"roles": ["clo_a", 'x"; drop']},
        {"roles": ["clo_a", "x" * 64]},
        {"roles": ["clo_a", "clo_ä"]},
        {"roles": ["clo_a", "clo_b\n"]},
        {"sslmode": "prefer"},
        {"sslmode": "allow"},
        {"sslmode": ""},
        {"service": "two words"},
        {"environment": ""},
        {"environment": "prod\n"},
        {"probe": "SELECT 1\0; DROP"},
        {"sslrootcert": "/ca\0.pem"},
    ],
)
def test_refuses(changed: dict[str, object]) -> None:
    """What PostgreSQL or libpq would cut, fold, reserve or take for something else is refused."""
    with pytest.raises(UsageError):
        rotator(**changed)


def test_application_name_fits() -> None:
    """The longest secret's application name is cut as PostgreSQL cuts it, so that own sessions are known."""
    target = Target(**{**GOOD, "hosts": (("db", 1),), "roles": ("a1", "b1"), "secret": "s" * 63})
    assert len(target.application) == 63
    assert target.application.startswith("keyturn/sss")


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([("db", 5432)], {"host": "db", "port": "5432", "dbname": "clo", "hosts": "db:5432"}),
        ([("::1", 5433)], {"host": "[::1]", "port": "5433", "dbname": "clo", "hosts": "[::1]:5433"}),
        ([("a", 1), ("b", 2)], {"host": "a", "port": "1", "dbname": "clo", "hosts": "a:1,b:2"}),
    ],
)
def test_coordinates(hosts: list[tuple[str, int]], expected: dict[str, str]) -> None:
    """Published names get host, port and dbname, with brackets around an IPv6 address."""
    assert rotator(hosts=hosts).coordinates() == expected


def test_candidates() -> None:
    """A candidate is 40 letters and digits: nothing that a URL, a shell or a file changes."""
    made = rotator().generate("clo_b")
    assert rotator().slot_of(made) == "clo_b"
    assert matches(made["password"], "[A-Za-z0-9]{40}")


def test_knows_its_slots() -> None:
    """Bundles and slots of others are refused without asking anybody."""
    with pytest.raises(Conflict):
        rotator().slot_of(Bundle({"value": "x"}))
    with pytest.raises(NotFound):
        rotator().look("clo")


@given(WORD, WORD, WORD, st.integers(0, 10**18))
def test_mark_survives(service: str, environment: str, secret: str, fence: int) -> None:
    """What is written into a comment is read back from it."""
    mark = Mark(service, environment, secret, fence)
    assert Mark.parse(str(mark)) == mark
    assert mark.same_owner(mark.at(fence + 1))


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        "keyturn",
        "keyturn:2 service=a environment=b secret=c fence=1",
        "keyturn:1 service=a environment=b secret=c fence=-1",
        "keyturn:1 service=a environment=b secret=c fence=01",
        "keyturn:1 service=a environment=b secret=c fence=1\n",
        "keyturn:1 service=a environment=b secret=c fence=\u0661",
        " keyturn:1 service=a environment=b secret=c fence=1",
        "keyturn:1 service=a b environment=b secret=c fence=1",
    ],
)
def test_not_a_mark(comment: str | None) -> None:
    """Any other comment is nobody's mark."""
    assert Mark.parse(comment) is None


@pytest.mark.parametrize("part", ["service", "environment", "secret"])
def test_other_owner(part: str) -> None:
    """A mark that differs in one part belongs to somebody else."""
    mine = {"service": "a", "environment": "b", "secret": "c"}
    assert not Mark(**mine, fence=1).same_owner(Mark(**{**mine, part: "x"}, fence=1))


@pytest.mark.parametrize("text", ["", "plaintext", "SCRAM-SHA-256$4096:c2FsdA==$x:y", "md5" + "0" * 32])
def test_only_a_verifier_is_sent(text: str) -> None:
    """What is not whole as a verifier never gets into a statement, and not into the error either."""
    with pytest.raises(Unsupported) as caught:
        log_in_with(text)
    assert not text or text not in caught.value.message
