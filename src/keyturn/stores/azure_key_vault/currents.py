"""What a list of the whole vault tells of current versions."""

from collections.abc import Callable, Iterator, Mapping


class Currents(Mapping[str, str]):
    """Current versions by name, found without regard to case.

    The list of a vault names no version ids, so one that Keyturn did not write is looked up when somebody asks for it:
    a vault full of other people's secrets costs nothing.
    """

    def __init__(self, told: Mapping[str, str | None], look: Callable[[str], str | None]) -> None:
        self._names = {name.casefold(): name for name in told}
        self._told = dict(told)
        self._look = look

    def __getitem__(self, name: str) -> str:
        kept = self._names[name.casefold()]
        found = self._told[kept] or self._look(kept)
        if found is None:
            raise KeyError(name)
        self._told[kept] = found
        return found

    def __contains__(self, name: object) -> bool:
        """Whether a reader gets something under that name; nothing is looked up for it."""
        return isinstance(name, str) and name.casefold() in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)
