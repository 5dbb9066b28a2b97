"""One version of one secret as an application sees it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keyturn.core.errors import NotFound
from keyturn.core.secret import Bundle, SecretValue


@dataclass(frozen=True, slots=True)
class View:
    """Fields and published names that belong together: all of one version, for as long as you keep it."""

    secret: str
    version: str
    bundle: Bundle = field(repr=False)
    published: Mapping[str, SecretValue] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> SecretValue:
        """The value of a field, or of a published name.

        Raises:
            NotFound: it has neither.
        """
        if name in self.published:
            return self.published[name]
        if name in self.bundle:
            return self.bundle[name]
        raise NotFound(
            f"{self.secret} has no field and no published name {name!r:.80}",
            f"there is {', '.join(sorted((*self.bundle, *self.published)))}",
        )

    def __contains__(self, name: str) -> bool:
        return name in self.published or name in self.bundle


def names_of(views: Iterable[View]) -> str:
    """The names of values that an application can ask for, as a line for people; no values."""
    found = [name for view in views for name in _names(view)]
    return f"there is {', '.join(sorted(found)) or 'none'}"


def _names(view: View) -> Iterable[str]:
    """What it publishes, and its only value; else its fields."""
    if view.published:
        return view.published
    return (view.secret,) if tuple(view.bundle) == ("value",) else (f"{view.secret}.{field}" for field in view.bundle)
