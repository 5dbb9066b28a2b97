"""PEM text, recognised by what stands in it and not by the name of its file (RFC 7468)."""

import re
from binascii import Error, a2b_base64
from dataclasses import dataclass
from typing import Literal

from keyturn.core.secret import SecretValue

Kind = Literal[
    "certificate", "chain", "private-key", "encrypted-private-key", "public-key", "key-and-certificates", "other"
]
_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9][A-Z0-9 ]*)-----[ \t]*\r?\n"
    r"(?P<body>(?:(?!-----).)*)-----END (?P=label)-----[ \t]*(?:\r?\n|\Z)",
    re.DOTALL,
)
_KEY = re.compile(r"(?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY\Z")
_ENCRYPTED = re.compile(r"^Proc-Type: 4,ENCRYPTED\r?$", re.MULTILINE)
_HEADER = re.compile(r"^[A-Za-z0-9-]+: .*\r?\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pem:
    """What PEM text holds.

    Attributes:
        kind: one certificate, a chain of several, a key, or both together.
        labels: of its blocks, in their order (`CERTIFICATE`, `PRIVATE KEY`).
    """

    kind: Kind
    labels: tuple[str, ...]


def pem(value: SecretValue) -> Pem | None:
    """What PEM text holds; None where it is none, or not whole: text around it, bytes that are no base64."""
    return _read(value.reveal())


def _read(text: str) -> Pem | None:
    blocks = list(_BLOCK.finditer(text))
    if not blocks or _BLOCK.sub("", text).strip() or not all(_is_base64(block["body"]) for block in blocks):
        return None
    labels = tuple(block["label"] for block in blocks)
    return Pem(_kind(labels, encrypted=_ENCRYPTED.search(text) is not None), labels)


def _is_base64(body: str) -> bool:
    plain = "".join(_HEADER.sub("", body).split())
    try:
        return bool(a2b_base64(plain, strict_mode=True))
    except (Error, ValueError):
        return False


def _kind(labels: tuple[str, ...], *, encrypted: bool) -> Kind:
    keys = sum(_KEY.match(label) is not None for label in labels)
    certificates = labels.count("CERTIFICATE")
    if labels == ("ENCRYPTED PRIVATE KEY",) or (encrypted and (keys, len(labels)) == (1, 1)):
        return "encrypted-private-key"
    if len(labels) == 1 and labels[0].endswith("PUBLIC KEY"):
        return "public-key"
    shapes: dict[tuple[int, bool], Kind] = {
        (0, True): "chain",
        (1, False): "private-key",
        (1, True): "key-and-certificates",
    }
    if keys + certificates != len(labels):
        return "other"
    return "certificate" if labels == ("CERTIFICATE",) else shapes.get((keys, certificates > 0), "other")
