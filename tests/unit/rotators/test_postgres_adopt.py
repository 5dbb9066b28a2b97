"""The pure parts of an adoption: lists of names, lines of pg_hba.conf, default privileges, quoting."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from keyturn.core.adoption import Adoption, Point, Standing
from keyturn.rotators.postgres import adopt_hba as hba
from keyturn.rotators.postgres.adopt_findings import REASONS
from keyturn.rotators.postgres.adopt_rights import Default, Right, defaults_wanted, rights_wanted
from keyturn.rotators.postgres.adopt_script import comment
from keyturn.rotators.postgres.adopt_settings import split_names
from keyturn.rotators.postgres.adopt_steps import dollar_quoted
from keyturn.rotators.postgres.adopt_survey import Member, Rule, plain, speaks_of


def rule(line: int, users: str, databases: str = "all", method: str = "scram-sha-256", address: str = "::1") -> Rule:
    """A line of pg_hba.conf."""
    return Rule(line, "hostssl", tuple(databases.split(",")), tuple(users.split(",")), address, "", method, (), "")


@pytest.mark.parametrize(
    ("kept", "names"),
    [
        ('"$user", public', ("$user", "public")),
        ("public", ("public",)),
        ('""', ()),
        ("", ()),
        ('"a, b","c""d" , e', ("a, b", 'c"d', "e")),
    ],
)
def test_lists_of_names(kept: str, names: tuple[str, ...]) -> None:
    """A list is read as PostgreSQL keeps it: bare names, quoted ones, commas inside of quotes."""
    assert split_names(kept) == names


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1)))
def test_lists_of_any_names(names: list[str]) -> None:
    """Whatever is quoted as PostgreSQL quotes it is read back."""
    assert split_names(", ".join('"' + name.replace('"', '""') + '"' for name in names)) == tuple(names)


@given(st.text(min_size=1))
def test_comments_stay_on_their_line(text: str) -> None:
    """No name ends a comment, whatever is in it."""
    assert len(comment(text).splitlines()) == 1
    assert comment(text).isprintable()


@given(st.text())
def test_dollar_quotes_hold(text: str) -> None:
    """What stands between the tags holds no tag, also where somebody called a role after it."""
    tags = f"{text}$keyturn${text}$keyturn1${text}"
    quoted = dollar_quoted(sql.Literal(tags.replace("\0", ""))).as_string(None)
    tag = quoted[: quoted.index("$", 1) + 1]
    assert quoted.count(tag) == 2
    assert quoted.endswith(tag)


def test_words_that_ask_for_the_user() -> None:
    """Role names stand in the pattern as they are, with what is special in a pattern escaped."""
    assert r"|app\.x\ \$|" in speaks_of(("app.x $", "y"))


def test_names_behind_identities() -> None:
    """Quotes go, doubled ones become one."""
    assert (plain("shop"), plain('"Sh""op"')) == ("shop", 'Sh"op')


@pytest.mark.parametrize(
    ("line", "met"),
    [
        (rule(1, "all"), True),
        (rule(1, "app"), True),
        (rule(1, "apps"), False),
        (rule(1, "+team"), True),
        (rule(1, "+app"), True),
        (rule(1, "+others"), False),
        (rule(1, "/^ap"), True),
        (rule(1, "/^b"), False),
        (rule(1, "/("), False),
        (rule(1, "app", "shop"), True),
        (rule(1, "app", "other,shop"), True),
        (rule(1, "app", "other"), False),
        (rule(1, "app", "replication"), False),
        (rule(1, "app", "sameuser"), False),
        (rule(1, "app", "samerole"), False),
        (rule(1, "app", "/sh.p"), True),
    ],
)
def test_lines_that_are_met(line: Rule, met: bool) -> None:  # noqa: FBT001 - a column of the table
    """All, names, groups, regular expressions, and the words for the database."""
    assert hba.met([line], "shop", "app", frozenset({"app", "team"})) == ((line,) if met else ())


def test_lines_for_a_database_named_after_user_or_group() -> None:
    """`sameuser` and `samerole` ask for the database's name."""
    assert hba.met([rule(1, "all", "sameuser")], "app", "app", frozenset({"app"}))
    assert hba.met([rule(1, "all", "samegroup")], "team", "app", frozenset({"app", "team"}))


def alike(*rules: Rule) -> hba.Difference | None:
    """Whether `new` is treated as `app` is."""
    return hba.difference(rules, "shop", ("app", frozenset({"app"})), ("new", frozenset({"new", "owner"})))


def test_lines_that_treat_both_alike() -> None:
    """One line for both, or a line of its own that does the same; what is never come to does not count."""
    assert alike(rule(1, "all")) is None
    assert alike(rule(1, "app"), rule(2, "new")) is None
    assert alike(rule(1, "all"), rule(2, "app")) is None
    assert alike(rule(1, "app"), rule(2, "+owner")) is None


def test_lines_that_do_not() -> None:
    """Each line that reaches one alone is said with what to write, and the order counts."""
    only_old = alike(rule(3, "app"), rule(4, "all", address="::2"))
    assert only_old is not None
    assert list(hba.advice(only_old, ("new", "N x"))) == [
        'pg_hba.conf line 3 reaches app and not new: write hostssl all app,new,"N x" ::1 scram-sha-256'
    ]
    only_new = alike(rule(1, "new", method="reject"), rule(2, "all", address="::2"))
    assert only_new is not None
    assert "reaches new and not app" in next(hba.advice(only_new, ("new",)))
    order = alike(rule(1, "app"), rule(2, "all", method="reject"), rule(3, "new"))
    assert order is not None
    assert list(hba.advice(order, ("new",))) == ["pg_hba.conf: new meets the lines that app meets in another order"]


def test_groups_of_groups() -> None:
    """Membership is followed to its end, also through what is only going to be, and round in circles."""
    members = (
        Member("b", "a", admin=False, inherit=True, set=True),
        Member("a", "c", admin=False, inherit=True, set=True),
    )
    assert hba.groups(members, "a", {"b": frozenset({"c"})}) == {"a", "b", "c"}


def right(grantee: str, *, grantable: bool = False, kind: str = "TABLE", name: str = "rates") -> Right:
    """A grant on somebody else's object."""
    return Right(kind, "treasury" if kind == "TABLE" else "", name, "", "", grantee, "SELECT", grantable)


def test_rights_of_the_owner() -> None:
    """What the existing role may do the owner must, too; a grant option that lacks is a difference."""
    assert [one.done for one in rights_wanted((right("app"), right("own")), ("app",), "own")] == [True]
    (lacks,) = rights_wanted((right("app", grantable=True), right("own")), ("app",), "own")
    assert (lacks.done, lacks.differs) == (False, True)
    (none,) = rights_wanted((right("app"),), ("app",), "own")
    assert (none.done, none.differs) == (False, False)
    assert none.statement.as_string(None) == 'GRANT SELECT ON TABLE "treasury"."rates" TO "own"'


def test_rights_on_things_with_unusual_names() -> None:
    """A large object has a number, a parameter has dots of its own."""
    (blob,) = rights_wanted((right("app", kind="LARGE OBJECT", name="4711"),), ("app",), "own")
    assert blob.statement.as_string(None) == 'GRANT SELECT ON LARGE OBJECT 4711 TO "own"'
    (setting,) = rights_wanted((right("app", kind="PARAMETER", name="a.b"),), ("app",), "own")
    assert setting.statement.as_string(None) == 'GRANT SELECT ON PARAMETER "a"."b" TO "own"'


BUILT_IN = (
    Default("", "", "f", "", "EXECUTE", grantable=False),
    Default("", "", "f", "public", "EXECUTE", grantable=False),
    Default("", "", "r", "", "SELECT", grantable=False),
)


def wanted(*defaults: Default) -> dict[str, bool]:
    """The statements, and whether what they do is there."""
    found = defaults_wanted((*BUILT_IN, *defaults), ("app",), "own")
    return {one.statement.as_string(None).removeprefix("ALTER DEFAULT PRIVILEGES FOR ROLE "): one.done for one in found}


def test_defaults_that_take_away() -> None:
    """An entry for all schemas replaces what PostgreSQL would do: what it lacks is revoked."""
    only_owner = Default("app", "", "f", "app", "EXECUTE", grantable=False)
    assert wanted(only_owner) == {'"own" REVOKE EXECUTE ON ROUTINES FROM PUBLIC': False}
    assert wanted(only_owner, Default("own", "", "f", "own", "EXECUTE", grantable=False)) == {
        '"own" REVOKE EXECUTE ON ROUTINES FROM PUBLIC': True
    }


def test_defaults_that_are_empty() -> None:
    """An entry that leaves nothing takes away the owner's own right, too."""
    assert wanted(Default("app", "", "r", "", "", grantable=False)) == {
        '"own" REVOKE SELECT ON TABLES FROM "own"': False
    }


def test_defaults_that_add() -> None:
    """An entry of one schema adds, also to the public, also with an option; one of somebody else's names the owner."""
    assert wanted(Default("app", "s", "r", "public", "SELECT", grantable=False)) == {
        '"own" IN SCHEMA "s" GRANT SELECT ON TABLES TO PUBLIC': False
    }
    assert wanted(
        Default("dba", "s", "r", "app", "SELECT", grantable=True),
        Default("dba", "s", "r", "own", "SELECT", grantable=True),
    ) == {'"dba" IN SCHEMA "s" GRANT SELECT ON TABLES TO "own" WITH GRANT OPTION': True}
    assert wanted(Default("own", "s", "r", "x", "SELECT", grantable=False)) == {}


def test_complete_means_every_point() -> None:
    """Only done is done, and points are not enough while something stands in the way."""

    def adoption(standing: Standing, *blockers: str) -> Adoption:
        return Adoption(("app",), {}, "", (), (Point("rights", "x", standing),), (), (), blockers)

    assert adoption(Standing.DONE).complete
    assert not adoption(Standing.DONE, "too powerful").complete
    assert not any(adoption(standing).complete for standing in Standing if standing is not Standing.DONE)


def test_reasons_are_documented() -> None:
    """The page on adopting has one row for each reason code, and one for what --verify finds."""
    text = (Path(__file__).parents[3] / "docs" / "targets" / "postgres-adopt.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (?:critical|warning|note|unknown)", text, re.MULTILINE)
    assert sorted(rows) == sorted((*REASONS, "adopt-open"))
