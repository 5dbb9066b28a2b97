"""Values as variables of a program: which value stands under which name. Nothing here is handed to anybody."""

from collections.abc import Iterable, Iterator, Mapping

from keyturn.client.view import View
from keyturn.core.errors import InvalidName, NotFound, TooLarge, Unsupported
from keyturn.core.secret import SecretValue

MAX_BYTES = 128 * 1024
"""execve(2), MAX_ARG_STRLEN: one string, its name, `=` and the NUL at its end."""


def variables(
    views: Mapping[str, View], named: Mapping[str, str], only: Iterable[str] = (), *, bounded: bool = True
) -> Mapping[str, SecretValue]:
    """The variable of each published name, and of a secret that publishes nothing and is one value.

    Args:
        views: the secrets.
        named: the variable of a name, where that is not its name in capitals; each must be there.
        only: the names that are wanted; without any, all.
        bounded: whether each value must be fit for a variable: a file takes others, too.

    Raises:
        NotFound: a name is not there, or a secret has no name that could be a variable.
        InvalidName: two names have one variable.
        Unsupported, TooLarge: a value cannot be one.
    """
    wanted, found = tuple(only), dict(_names(views))
    for name in wanted or named:
        if name not in found:
            raise NotFound(f"no published name {name!r:.80} was delivered", f"there is {_listed(found)}")
    if not wanted and (bare := views.keys() - {view.secret for view in views.values() if any(_of(view))}):
        raise NotFound(f"{min(bare)} publishes no name", "publish one in the manifest, or say with --only which ones")
    result: dict[str, SecretValue] = {}
    for name in wanted or found:
        called = named.get(name) or variable(name)
        if result.setdefault(called, found[name]) is not found[name]:
            raise InvalidName(f"two names would both be the variable {called}", "rename one of them")
        if bounded:
            _check(called, found[name])
    return result


def variable(name: str) -> str:
    """`database-url` as a variable: `DATABASE_URL`."""
    return name.replace("-", "_").upper()


def _names(views: Mapping[str, View]) -> Iterator[tuple[str, SecretValue]]:
    for view in views.values():
        yield from _of(view)


def _of(view: View) -> Iterator[tuple[str, SecretValue]]:
    if view.published:
        yield from view.published.items()
    elif tuple(view.bundle) == ("value",):
        yield view.secret, view.bundle["value"]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _check(called: str, value: SecretValue) -> None:
    size, has_nul = _measured(value.reveal())
    if has_nul:
        raise Unsupported(f"the value of {called} has a NUL, which no variable can carry", "read it from the bundle")
    if len(called) + size + 2 > MAX_BYTES:
        raise TooLarge(f"the value of {called} is too long for a variable", "read it from the bundle")


def _measured(text: str) -> tuple[int, bool]:
    """How many bytes it has, and whether one of them is NUL."""
    return len(text.encode()), "\0" in text
