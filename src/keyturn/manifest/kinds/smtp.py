"""[secrets.NAME] kind = "smtp": a mail account, or two that take turns."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AtLeastOne, Host, Line, Name, Several, Tls


class Target(Tls):
    """The server, its accounts, and the command (argv) or secret that may change their passwords."""

    hosts: AtLeastOne[Host]
    """Servers."""
    users: AtLeastOne[Line]
    """Two accounts that take turns, or one."""
    protection: Literal["starttls", "tls"] = "starttls"
    """TLS from the start, or after STARTTLS."""
    admin: Name | None = None
    """A secret of Keyturn's own that may change the password."""
    command: Several[Line] = ()
    """Command (argv) that changes the password."""

    def flaws(self) -> Iterator[Flaw]:
        """More than two accounts, or one twice."""
        yield from super().flaws()
        if len(self.users) > 2 or len(set(self.users)) != len(self.users):  # noqa: PLR2004 -- a pair
            yield Flaw(("users",), "not one or two distinct accounts", 'such as ["clo-a@example.com"]')


class Options(SecretTable):
    """A mail credential."""

    kind: Literal["smtp"]
    """A mail credential."""
    target: Target
    """Server and accounts."""

    coordinates: ClassVar[tuple[str, ...]] = ("host", "port")

    @property
    def bundle(self) -> tuple[str, ...]:
        """An account and its password."""
        return ("username", "password")

    @property
    def rotating(self) -> frozenset[str]:
        """With two accounts both fields; with one, its password."""
        return frozenset(self.bundle if len(self.target.users) > 1 else {"password"})

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The secret that may change the password, where there is one."""
        return (("admin", self.target.admin),) if self.target.admin else ()

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """The first server."""
        host, _, port = self.target.hosts[0].rpartition(":")
        return {"host": host, "port": port}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts."""
        return self.target.users
