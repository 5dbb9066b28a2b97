"""[secrets.NAME] kind = "smtp": a mail account, or two that take turns."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AtLeastOne, Host, Line, Name, Several, Tls


class Target(Tls):
    """The server, its accounts, and the command (argv) or secret that may change their passwords."""

    hosts: AtLeastOne[Host]
    users: AtLeastOne[Line]
    protection: Literal["starttls", "tls"] = "starttls"
    admin: Name | None = None
    command: Several[Line] = ()

    def flaws(self) -> Iterator[Flaw]:
        """More than two accounts, or one twice."""
        yield from super().flaws()
        if len(self.users) > 2 or len(set(self.users)) != len(self.users):  # noqa: PLR2004 -- a pair
            yield Flaw(("users",), "not one or two distinct accounts", 'such as ["clo-a@example.com"]')


class Options(SecretTable):
    """A mail credential."""

    kind: Literal["smtp"]
    target: Target

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
