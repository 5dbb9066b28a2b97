"""What a rule of a contract says with: a sentence that holds, and a call that is refused."""

from collections.abc import Callable

from keyturn.core.errors import AdapterError


class ContractBroken(AssertionError):
    """The part does not do what every part of its kind must."""


def hold(condition: object, sentence: str) -> None:
    """Raises ContractBroken with the sentence that does not hold."""
    if not condition:
        raise ContractBroken(sentence)


def refused(error: type[AdapterError], sentence: str, call: Callable[..., object], *arguments: object) -> None:
    """Raises ContractBroken where the call does anything but raise that error."""
    try:
        call(*arguments)
    except error:
        return
    except Exception as other:
        raise ContractBroken(f"{sentence}: {type(other).__name__} instead of {error.__name__}") from other
    raise ContractBroken(f"{sentence}: nothing was raised instead of {error.__name__}")
