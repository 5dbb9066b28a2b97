"""Masks the values that this process holds, in all encodings of `leaks.encodings`, in text and in log records.

handler.addFilter(LogMask(secrets))                                    # logging: on every handler
structlog.configure(processors=[…, EventMask(secrets), renderer])      # last before the renderer

A value is known here before anything in the process can use it, and for as long as eight later ones are not.
"""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeAlias

from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core import fallbacks, key_sets
from keyturn.core.secret import MASK, SecretValue
from keyturn.leaks.encodings import forms

LEAST = 8
"""Characters. A shorter value occurs by chance, and masking it would leave rubble."""
KEPT = 8
"""Versions of each secret."""
PUBLIC = frozenset({"username", "public_key", "kid", "jwks", "certificate", "chain", "ca_bundle", "key_name", "key_id"})
"""Fields that are no secret by themselves, and that people look for in logs."""
_DEEPEST = 8
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) - {"msg", "args"}
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_Trace: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


class Mask:
    """Finds the values of these secrets in text.

    It looks up each window of eight characters in a set, so that the time grows with the text and not with
    the number of values.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._versions: dict[str, dict[str, frozenset[str]]] = {}
        self._starts: Mapping[str, tuple[str, ...]] = {}
        secrets.on_delivery(self._learn)

    def text(self, text: str) -> str:
        """The text with a mask in the place of each value."""
        starts, done, size = self._starts, 0, LEAST
        pieces: list[str] = []
        for at in [at for at in range(len(text) - size + 1) if text[at : at + size] in starts]:
            if at < done:
                continue
            found = next((one for one in starts[text[at : at + size]] if text.startswith(one, at)), None)
            if found is not None:
                pieces += (text[done:at], MASK)
                done = at + len(found)
        return "".join((*pieces, text[done:])) if pieces else text

    def anything(self, value: object, depth: int = 0) -> object:
        """The same for what stands in a log record; what holds no value is returned as it is."""
        if value is None or isinstance(value, bool | int | float | SecretValue):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth < _DEEPEST and isinstance(value, dict):
            return {self.anything(key, depth + 1): self.anything(one, depth + 1) for key, one in value.items()}
        if depth < _DEEPEST and type(value) in {list, tuple, set, frozenset}:
            return type(value)(self.anything(one, depth + 1) for one in value)  # type: ignore[attr-defined,call-arg] # one of four
        return self._shown(value)

    def error(self, error: _Trace) -> str | None:
        """The traceback, masked; None when no value stands in it."""
        text = "".join(traceback.format_exception(*error)).rstrip("\n")
        masked = self.text(text)
        return None if masked == text else masked

    def _shown(self, value: object) -> object:
        """An object of another kind: both of its texts, since we do not know which a formatter takes."""
        for show in (str, repr):
            try:
                text = show(value)
            except Exception as error:  # noqa: BLE001 - whatever the object raises, the formatter would meet it too
                return f"{type(value).__name__} ({type(error).__name__})"
            if (masked := self.text(text)) != text:
                return masked
        return value

    def _learn(self, view: View) -> None:
        """Called by one thread at a time; readers see the set before or after, whole."""
        known = self._versions.setdefault(view.secret, {})
        known.pop(view.version, None)
        known[view.version] = _of(view)
        for version in list(known)[:-KEPT]:
            del known[version]
        every = frozenset[str]().union(*(found for versions in self._versions.values() for found in versions.values()))
        starts: dict[str, list[str]] = {}
        for form in sorted(every, key=len, reverse=True):
            starts.setdefault(form[:LEAST], []).append(form)
        self._starts = {start: tuple(found) for start, found in starts.items()}


class LogMask(logging.Filter):
    """Masks log records. Add it to each handler: the filter of a logger does not see what comes from below."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._mask = Mask(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the message, the traceback, the stack and what came in `extra`; every record passes."""
        self._message(record)
        if record.exc_info and record.exc_info[0] is not None and (masked := self._mask.error(record.exc_info)):
            record.exc_info, record.exc_text = None, masked
        for name in ("exc_text", "stack_info"):
            if text := getattr(record, name):
                setattr(record, name, self._mask.text(text))
        for name in vars(record).keys() - _PLAIN:
            setattr(record, name, self._mask.anything(getattr(record, name)))
        return True

    def _message(self, record: logging.LogRecord) -> None:
        """Template and arguments stay apart where they can: formatters such as uvicorn's read the arguments one by one.

        They can where every argument is plain: an object might show something else when it is asked again.
        """
        message = _formatted(record)
        masked = self._mask.text(message)
        if isinstance(record.args, tuple) and all(type(one) in _SIMPLE for one in record.args):
            if masked == message and all(str(one) in message for one in record.args):
                return
            arguments = tuple(self._mask.anything(one) for one in record.args)
            record.msg, record.args = self._mask.text(str(record.msg)), arguments
            message = _formatted(record)
            if record.args and message == self._mask.text(message):
                return
        record.msg, record.args = masked, None


def _formatted(record: logging.LogRecord) -> str:
    """What the record says; when it cannot be formatted, that, and it has no arguments any more."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - logging would print the arguments to stderr
        record.args = None
        return f"this log record could not be formatted ({type(error).__name__})"


def mask_logs(secrets: Secrets, former: LogMask | None = None) -> LogMask:
    """Put one `LogMask` on every handler that there is now, of the root and of every logger; that mask.

    The one that `logging` takes where there is none is among them. Servers give their own loggers handlers of their
    own (`uvicorn`, `uvicorn.access`, `gunicorn.error`).

    Args:
        secrets: the application's secrets.
        former: what this gave before, to be taken off.
    """
    every = (logging.root, *logging.root.manager.loggerDict.values())
    handlers = {handler for logger in every if isinstance(logger, logging.Logger) for handler in logger.handlers}
    mask = LogMask(secrets)
    for handler in handlers | ({logging.lastResort} if logging.lastResort else set()):
        if former is not None:
            handler.removeFilter(former)
        handler.addFilter(mask)
    return mask


class EventMask:
    """A processor of structlog: the last one before the renderer."""

    def __init__(self, secrets: Secrets) -> None:
        self._mask = Mask(secrets)

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401, ARG002 - structlog's signature
        """The event with all of its values masked; a traceback that holds one becomes masked text."""
        error = event.get("exc_info")
        if isinstance(error, BaseException):
            error = (type(error), error, error.__traceback__)
        elif error and not isinstance(error, tuple):
            error = sys.exc_info()
        if isinstance(error, tuple) and error[0] is not None and (masked := self._mask.error(error)):
            del event["exc_info"]
            event["exception"] = masked
        for key, value in list(event.items()):
            if key != "exc_info":
                event[key] = self._mask.anything(value)
        return event


def _of(view: View) -> frozenset[str]:
    """All that has to be masked of this version."""
    values = [value for field, value in view.bundle.items() if field not in PUBLIC]
    values += [value for value in view.published.values() if value not in _public(view)]
    values += _within(view)
    return frozenset(form for value in values for form in _forms(value.reveal()))


def _within(view: View) -> list[SecretValue]:
    """The accepted keys of an application, and shared keys in a key set: each by itself (docs/formats/key-set.md)."""
    found: list[SecretValue] = []
    with suppress(ValueError):  # another form is masked as a whole
        found += fallbacks.parsed(view.bundle["fallbacks"].reveal()) if "fallbacks" in view.bundle else ()
    with suppress(ValueError):
        found += key_sets.shared(view.bundle["jwks"].reveal()) if "jwks" in view.bundle else ()
    return found


def _public(view: View) -> list[SecretValue]:
    return [value for field, value in view.bundle.items() if field in PUBLIC]


def _forms(text: str) -> frozenset[str]:
    if len(text) < LEAST:
        return frozenset()
    found = {_decoded(form) for _, form in forms(text)}
    return frozenset(form for form in found if len(form) >= LEAST)


def _decoded(form: bytes) -> str:
    """As a log would hold these bytes."""
    try:
        return form.decode()
    except UnicodeDecodeError:
        return form.decode("latin-1")
