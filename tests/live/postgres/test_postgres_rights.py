"""What doctor is told of rights at a real server: each one that is taken away is missed, and its line gives it back."""

from dataclasses import dataclass

import pytest

from keyturn.core.errors import Denied
from keyturn.core.rights import Leave, Right, TargetRights
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.rotators.postgres.pooler import Mode, Pooler
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.bench import NUMBERS

POOLER = Pooler(hosts=(("127.0.0.1", 9),), mode=Mode.TRANSACTION, addresses=("127.0.0.1",), release_idle=True)
ADMIN_OPTION = 160000


@dataclass
class Place:
    """A provisioned database, with roles that no other test has."""

    server: PostgresServer
    dbname: str
    admin: Bundle
    pooler: Pooler | None = None

    @property
    def owner(self) -> str:
        """The owner role."""
        return f"{self.dbname}_owner"

    @property
    def slot(self) -> str:
        """The first of the log-in roles."""
        return f"{self.dbname}_a"

    @property
    def rotator(self) -> Postgres:
        """As a manifest would make it."""
        return Postgres(
            hosts=[(self.server.host, self.server.port)],
            dbname=self.dbname,
            owner_role=self.owner,
            roles=[self.slot, f"{self.dbname}_b"],
            secret="database",
            service="clo",
            environment="test",
            admin=lambda: self.admin,
            sslrootcert=self.server.ca_file,
            pooler=self.pooler,
        )

    def do(self, statement: str) -> None:
        """As a superuser; names as they are in this place."""
        names = {"a": self.slot, "owner": self.owner, "db": self.dbname, "admin": f"{self.dbname}_admin"}
        self.server.execute(statement.format(**names), dbname=self.dbname)

    def missing(self) -> dict[str, Right]:
        """The rights that are not granted, by their purpose."""
        return {right.purpose: right for right in self.rotator.rights() if right.leave is not Leave.GRANTED}


@pytest.fixture
def place(postgres: PostgresServer) -> Place:
    """Everything is as `provision` leaves it."""
    dbname = f"r{next(NUMBERS)}"
    made = Place(postgres, dbname, postgres.prepare(dbname))
    made.rotator.provision()
    return made


def test_after_provision_nothing_is_missing(place: Place) -> None:
    """Each right is granted, for the admin and for both roles, and asking changes nothing."""
    before = place.server.execute("SELECT rolname, rolcanlogin, rolpassword, rolconnlimit FROM pg_authid ORDER BY 1")
    assert isinstance(place.rotator, TargetRights)
    found = place.rotator.rights()
    assert place.missing() == {}
    assert len(found) == 2 + 2 * 7
    assert place.server.execute("SELECT rolname, rolcanlogin, rolpassword, rolconnlimit FROM pg_authid ORDER BY 1") == (
        before
    )


@pytest.mark.parametrize(
    ("taken", "purpose", "needed"),
    [
        ("ALTER ROLE {admin} NOCREATEROLE", "create roles and change them", True),
        ("REVOKE pg_read_all_stats FROM {admin}", "see address and age of sessions (pg_read_all_stats)", False),
        ("REVOKE CONNECT ON DATABASE {db} FROM PUBLIC", "log in as {a} to database {db}", True),
        ("SET ROLE {admin}; REVOKE {owner} FROM {a}; RESET ROLE", "let sessions of {a} become {owner}", True),
        ("ALTER ROLE {a} IN DATABASE {db} RESET role", "rely on sessions of {a} becoming {owner}", True),
        ("ALTER ROLE {a} CONNECTION LIMIT 0", "log in as {a}: its CONNECTION LIMIT is 0", True),
        ("ALTER ROLE {a} VALID UNTIL '2020-01-01'", "log in as {a}: its VALID UNTIL has passed", True),
        ("ALTER ROLE {a} SUPERUSER", "change {a}, which is a superuser", True),
    ],
)
def test_what_is_taken_away_is_missed_and_its_line_gives_it_back(
    place: Place,
    taken: str,
    purpose: str,
    needed: bool,  # noqa: FBT001 - one of the table's columns
) -> None:
    """The statement that is printed, run by a superuser, is all that is missing."""
    place.do(taken)
    names = {"a": place.slot, "owner": place.owner, "db": place.dbname}
    missing = place.missing()
    right = missing[purpose.format(**names)]
    assert right.leave is Leave.DENIED
    assert right.needed is needed
    for one in missing.values():
        place.do(one.mend.replace("{", "{{"))
    assert place.missing() == {}


def test_a_role_of_another_admin_is_missed_where_createrole_is_not_enough(place: Place) -> None:
    """From PostgreSQL 16 on the admin needs ADMIN OPTION of each role, and of an owner that it has to hand out."""
    with place.rotator._primary() as session:
        newer = session.info.server_version >= ADMIN_OPTION
    place.do("DROP OWNED BY {a}")
    place.do("DROP ROLE {a}")
    place.do("CREATE ROLE {a} NOLOGIN")
    place.do("REVOKE {owner} FROM {admin} CASCADE")
    missing = place.missing()
    assert (f"change password, log-in and comment of {place.slot}" in missing) is newer
    assert (f"hand out the owner role {place.owner}" in missing) is newer
    assert f"let sessions of {place.slot} become {place.owner}" in missing
    for one in missing.values():
        place.do(one.mend)
    assert place.missing() == {}


def test_roles_that_are_not_there_yet_are_left_to_provision(postgres: PostgresServer) -> None:
    """An empty database has no rights of roles to tell, only those of the admin."""
    dbname = f"r{next(NUMBERS)}"
    found = Place(postgres, dbname, postgres.prepare(dbname)).rotator.rights()
    assert [right.leave for right in found] == [Leave.GRANTED] * 2


def test_a_pooler_whose_idle_sessions_may_end_needs_two_rights_more(place: Place) -> None:
    """With `release_idle` the admin has to see and to end sessions of others; without it, seeing is a help only."""
    place.pooler = POOLER
    purpose = "end the pooler's idle sessions (pg_signal_backend)"
    assert set(place.missing()) == {purpose}
    assert place.missing()[purpose].needed
    place.do(place.missing()[purpose].mend)
    assert place.missing() == {}


def test_an_admin_that_is_not_let_in_is_no_list_of_rights(place: Place) -> None:
    """A refused admin credential is told as such, and nothing is said to be granted."""
    place.admin = Bundle({"username": f"{place.dbname}_admin", "password": "another"})
    with pytest.raises(Denied, match="the admin credential of database"):
        place.rotator.rights()
