"""The mark in a role's COMMENT: whose it is, and the fence of the last effect on it."""

import re
from dataclasses import dataclass, replace
from typing import Self

_MARK = re.compile(r"keyturn:1 service=(\S+) environment=(\S+) secret=(\S+) fence=(0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything but `fence` says whose the role is; fence 0 is a role that was only created."""

    service: str
    environment: str
    secret: str
    fence: int = 0

    def __str__(self) -> str:
        return (
            f"keyturn:1 service={self.service} environment={self.environment} secret={self.secret} fence={self.fence}"
        )

    @classmethod
    def parse(cls, comment: str | None) -> Self | None:
        """The mark, None for every comment that is not exactly one."""
        found = _MARK.fullmatch(comment or "")
        return cls(found[1], found[2], found[3], int(found[4])) if found else None

    def at(self, fence: int) -> Self:
        """The same owner, another fence."""
        return replace(self, fence=fence)

    def same_owner(self, other: "Mark") -> bool:
        """Whether both belong to one secret of one service in one environment."""
        return self.at(other.fence) == other
