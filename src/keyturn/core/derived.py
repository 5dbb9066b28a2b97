"""A derived copy: a published name that a store carries by itself, for readers that know nothing of Keyturn."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from keyturn.core.secret import Bundle, SecretValue

_MARKED = b"keyturn/derived-copy/v1\0"


class Form(StrEnum):
    """What sort of entry of the store it is."""

    SECRET = "secret"  # noqa: S105 - a word of the manifest
    CERTIFICATE = "certificate"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Derived:
    """Where one copy lies: `view` is the published name, `entry` its name in the store, `of` that of its secret."""

    view: str
    entry: str
    form: Form
    of: str

    def __str__(self) -> str:
        """In a message."""
        return f"the {self.form} {self.entry!r}, which publishes {self.view}"


@runtime_checkable
class Derives(Protocol):
    """What a store may be able to do besides (docs/formats/store.md): carry copies that complete strangers read.

    The name of a copy belongs to whoever wrote its newest version: one that does not say that it was made for this view
    is somebody else's, and is never written over.
    """

    def derive(self, copy: Derived, version: str, content: SecretValue, mark: str) -> None:
        """Write `content` as the newest version of the copy, and note that it shows `version`.

        The same version with the same mark again writes nothing. Raises Conflict where the name is somebody else's,
        Disabled where its newest version is switched off, Unsupported where `content` is none of that form,
        OutcomeUnknown.
        """

    def shows(self, copy: Derived) -> str | None:
        """The version that the copy shows; None before the first.

        An id that no version has where somebody else wrote it. Raises Disabled where its newest one is switched off.
        """

    def shown(self, copies: Iterable[Derived]) -> Mapping[Derived, str]:
        """The same for many, in as few requests as the store can do with and without any value.

        One that nobody can read has no entry.
        """

    def withdraw(self, copy: Derived, version: str) -> None:
        """Switch off what shows `version`; nothing happens where nothing does. Raises Conflict where it is the newest.

        Repeatable, also after a part of it.
        """


def mark_of(bundle: Bundle, content: SecretValue) -> str:
    """What may be noted of the content of a copy: HMAC-SHA256 under the bundle's proof key, 64 hex digits.

    Who reads it learns nothing; who composes the copy again can tell whether it is the one that lies there.
    """
    mac = hmac.new(bundle.proof_key.reveal().encode(), _MARKED, "sha256")
    mac.update(content.reveal().encode())
    return mac.hexdigest()
