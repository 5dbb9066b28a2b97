"""What can be said of a value by itself: a placeholder, short; and whether a name looks like that of a secret."""

import re

from keyturn.core.secret import SecretValue
from keyturn.importing.parting import is_url_with_password

SHORT = 12
"""Characters below which a generated credential never is."""

_GIVEN_OUT = frozenset(
    {
        "changeme", "change-me", "change_me", "password", "passwd", "pass", "secret", "user", "username", "admin123",
        "todo", "tbd", "fixme", "none", "null", "xxx", "example", "placeholder", "replace-me", "replaceme", "dummy",
        "secure-username", "letmein", "123456", "12345678", "qwerty",
    }
)  # fmt: skip
_OPENS = re.compile(
    r"(?:your|change|replace|insert|enter|paste|sample|dummy|placeholder|example)[-_ ].*", re.IGNORECASE
)
_BRACKETS = re.compile(r"<[^<>]*>|\$\{[^{}]*\}|\{\{.*\}\}|\[[A-Za-z _-]+\]|%[A-Z_]+%|[xX*.]{3,}|.*\.\.\.")
_WORDS = re.compile(r"(?:[a-z]{2,}|[0-9]{1,3})\+?(?:[-_ ](?:[a-z]{2,}|[0-9]{1,3})\+?){1,6}")
_TELLING = frozenset({"password", "secret", "key", "token", "username", "credential", "passphrase", "pass"})
_SECRET_NAME = re.compile(
    r"(?:\A|_)(?:PASSWORD|PASSWD|PASSPHRASE|PWD|PASS|SECRET|SECRETS|TOKEN|KEY|APIKEY|CREDENTIAL|CREDENTIALS|PRIVATE|DSN|SALT"
    r"|SIGNING|WEBHOOK|CONNECTION_STRING)(?:\Z|_)"
)
_NO_SECRET = re.compile(
    r"(?:_(?:URL|URI|HOST|PORT|NAME|ID|PATH|DIR|TTL|SECONDS|DAYS|LIFETIME|LENGTH|ALGORITHM|ROTATION|POLICY|ENABLED|SIZE|EXPIRY|PUBLIC_KEY|KEY_VAULT)\Z"
    r"|\APUBLIC_KEY)"
)


def is_placeholder(value: SecretValue) -> bool:
    """Whether somebody wrote it to be replaced: a word of a guide, angle brackets, words that say what it is."""
    return _stands_for_another(value.reveal())


def _stands_for_another(text: str) -> bool:
    plain = text.strip().lower()
    if plain in _GIVEN_OUT or _OPENS.fullmatch(plain) or _BRACKETS.fullmatch(text.strip()):
        return True
    return _WORDS.fullmatch(plain) is not None and bool(_TELLING.intersection(re.split(r"[-_ +]", plain)))


def is_short(value: SecretValue) -> bool:
    """Whether it has fewer characters than a generated credential."""
    return len(value.reveal()) < SHORT


def length_class(value: SecretValue) -> str:
    """How long it is, in classes: the exact length of a password is nobody's business."""
    return _class(len(value.reveal()))


def _class(length: int) -> str:
    if length == 0:
        return "empty"
    bounds = ((SHORT, f"under {SHORT} characters"), (32, f"{SHORT} to 31 characters"), (64, "32 to 63 characters"))
    return next((words for bound, words in bounds if length < bound), "64 characters or more")


def looks_secret(key: str, value: SecretValue, *, private_key: bool) -> bool:
    """Whether somebody should say where this belongs: by its name, or because a private key or a password is in it."""
    name = re.sub(r"[-.]", "_", key).upper()
    if private_key or is_url_with_password(value):
        return True
    return named_secret(name) and bool(value)


def named_secret(name: str) -> bool:
    """Whether a name in upper case is what people call a secret."""
    return _SECRET_NAME.search(name) is not None and _NO_SECRET.search(name) is None
