"""One version of one secret as an application sees it."""

from collections.abc import Mapping
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
        raise NotFound(f"{self.secret} has no field and no published name {name!r:.80}")

    def __contains__(self, name: str) -> bool:
        return name in self.published or name in self.bundle
