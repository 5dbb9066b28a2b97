"""Masks in text, log records and events: every encoding, every version that is held, nothing else."""

import io
import json
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from keyturn.client import Secrets, View
from keyturn.client.mask import KEPT, EventMask, LogMask, Mask, mask_logs
from keyturn.core.consumer import Delivery
from keyturn.core.secret import MASK, Bundle, SecretValue
from keyturn.leaks.encodings import ENCODINGS
from tests.unit.client.key_place import KeyPlace, Shared, app_key
from tests.unit.client.place import Place, until

HARD = "pä&<\"s'w\\ö/r+d=\x20%;x"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered."""
    return Place(tmp_path)


@pytest.fixture
def secrets(place: Place) -> Iterator[Secrets]:
    """Its secrets, open."""
    with place.open() as opened:
        yield opened


class Log:
    """A logger of its own whose only handler writes to memory through the mask."""

    def __init__(self, secrets: Secrets) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(logging.Formatter("%(message)s"))
        self.handler.addFilter(LogMask(secrets))
        self.logger = logging.Logger("of-this-test")  # noqa: LOG001 - it ends with the test
        self.logger.addHandler(self.handler)

    def __call__(self) -> str:
        """All that was written."""
        return self.stream.getvalue()


class Turned:
    """A holder that says what it tries, and stays with the first version."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def try_new(self, view: View) -> None:
        """Say it, and turn down all but the first."""
        self._logger.warning("tried password-%s", view.version)
        if view.version != "v1":
            raise ValueError

    def switch(self, view: View) -> None:
        """Never reached."""
        raise AssertionError(view.version)

    def settle(self) -> Collection[str]:
        """The first is in use."""
        return {"v1"}


def fail(words: str, cause: Exception | None = None) -> NoReturn:
    """Raise a KeyError that says this."""
    raise KeyError(words) from cause


def deliver(place: Place, version: str, **fields: str) -> None:
    """A version of `database` with these fields."""
    place.application.deliver(
        Delivery("database", version, Bundle(fields), 1000, {"database-url": SecretValue("none")})
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_value_is_masked_in_every_encoding(place: Place, secrets: Secrets, encoding: str) -> None:
    """Each form of it, wherever it stands."""
    deliver(place, "hard", password=HARD)
    secrets.refresh()
    mask = Mask(secrets)
    for form in ENCODINGS[encoding](HARD.encode()):
        try:
            text = form.decode()
        except UnicodeDecodeError:
            text = form.decode("latin-1")
        assert mask.text(f"before {text} after {text}") == f"before {MASK} after {MASK}"


def test_what_is_no_value_stays(place: Place, secrets: Secrets) -> None:
    """Names, short values and everything else are what people read logs for."""
    mask = Mask(secrets)
    kept = "user-v1 asked for password-v0, key, password-, and postgresql://v"
    assert mask.text(kept) == kept
    deliver(place, "named", username="application-role", password="not-to-be-seen")
    secrets.refresh()
    assert mask.text("application-role: not-to-be-seen") == f"application-role: {MASK}"
    assert mask.text("password-v1password-v1") == MASK + MASK
    assert mask.text("") == ""


def test_the_longest_value_is_masked_whole(secrets: Secrets, place: Place) -> None:
    """A value that begins as another does leaves no rest."""
    deliver(place, "longer", password="begins-alike", second="begins-alike-and-goes-on")
    secrets.refresh()
    assert Mask(secrets).text("begins-alike-and-goes-on, begins-alike") == f"{MASK}, {MASK}"


def test_a_version_on_trial_is_masked(place: Place, secrets: Secrets) -> None:
    """What a holder says while it tries a new version is masked already, though reads do not give it yet."""
    log = Log(secrets)
    secrets.hold("database", Turned(log.logger))
    place.deliver("v2")
    secrets.refresh()
    until(lambda: log().count("\n") >= 2)
    assert secrets["database-url"].version == "v1"
    assert set(log().splitlines()) == {f"tried {MASK}"}


def test_former_versions_are_masked_for_a_while(place: Place, secrets: Secrets) -> None:
    """An old connection may still log its credential; those from long ago are dead and forgotten."""
    mask = Mask(secrets)
    for number in range(2, KEPT + 2):
        place.deliver(f"v{number}")
        secrets.refresh()
    assert mask.text(f"password-v2 password-v{KEPT + 1}") == f"{MASK} {MASK}"
    assert mask.text("password-v1") == "password-v1"


def test_a_mask_made_late_knows_what_was_before(place: Place, secrets: Secrets) -> None:
    """The version that waits and the one in use."""
    log = Log(secrets)
    secrets.hold("database", Turned(log.logger))
    place.deliver("v2")
    secrets.refresh()
    until(lambda: log().count("\n") >= 2)
    assert Mask(secrets).text("password-v1 password-v2") == f"{MASK} {MASK}"


def test_a_record_is_masked_in_all_of_its_parts(secrets: Secrets) -> None:
    """Message, arguments, traceback with its causes, stack and what came in `extra`."""
    log = Log(secrets)
    log.handler.setFormatter(logging.Formatter("%(message)s %(where)s"))
    try:
        fail("other", ValueError("password-v1"))
    except KeyError:
        more = {"where": {"deep": ["password-v1", b"password-v1", Path("password-v1"), ("password-v1", 1)]}}
        log.logger.exception("%s and %r", "password-v1", {"a": "password-v1"}, extra=more, stack_info=True)
    assert "password-v1" not in log()
    where = f"{{'deep': ['{MASK}', \"b'{MASK}'\", '{MASK}', ('{MASK}', 1)]}}"
    assert log().startswith(f"{MASK} and {{'a': '{MASK}'}} {where}\nValueError: {MASK}\n")
    assert "KeyError: 'other'\nStack " in log()


def test_an_error_without_a_value_keeps_its_object(secrets: Secrets) -> None:
    """So that what collects errors can still group them; one with a value is text from there on."""
    masked = LogMask(secrets)
    for words, kept in (("nothing", True), ("password-v1", False)):
        error = ValueError(words)
        record = logging.makeLogRecord({"msg": "m", "exc_info": (ValueError, error, None)})
        assert masked.filter(record)
        assert (record.exc_info is not None) is kept
    assert record.exc_text == f"ValueError: {MASK}"


def test_a_record_that_cannot_be_formatted_shows_no_arguments(
    secrets: Secrets, capsys: pytest.CaptureFixture[str]
) -> None:
    """By itself logging prints them to stderr."""
    log = Log(secrets)
    log.logger.error("%d", "password-v1")
    assert log() == "this log record could not be formatted (TypeError)\n"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("rendered", [True, False])
def test_an_event_of_structlog_is_masked(secrets: Secrets, *, rendered: bool) -> None:
    """Whether its traceback was made to text before or not."""
    stream = io.StringIO()
    first = [structlog.processors.format_exc_info] if rendered else []
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[*first, EventMask(secrets), structlog.processors.JSONRenderer()],
    )
    try:
        fail("password-v1")
    except KeyError:
        logger.exception("at password-v1", more={"list": ["password-v1"]}, number=1)
    event = json.loads(stream.getvalue())
    assert (event["event"], event["more"], event["number"]) == (f"at {MASK}", {"list": [MASK]}, 1)
    assert "exc_info" not in event
    assert event["exception"].endswith(f"KeyError: '{MASK}'")
    assert "password-v1" not in stream.getvalue()


def test_arguments_that_hold_no_value_stay_apart(secrets: Secrets) -> None:
    """A formatter such as uvicorn's reads them one by one, and colours them by a template of its own."""
    given = ("127.0.0.1:1", "GET", "/deals", "1.1", 200)
    record = logging.makeLogRecord({"msg": '%s - "%s %s HTTP/%s" %d', "args": given})
    assert LogMask(secrets).filter(record)
    assert (record.msg, record.args) == ('%s - "%s %s HTTP/%s" %d', given)


def test_an_argument_that_holds_a_value_is_masked_in_its_place(secrets: Secrets) -> None:
    """The others stay as they are, also where the template does not show the whole of it."""
    record = logging.makeLogRecord({"msg": "%s %.4s %d", "args": ("/?q=password-v1", "password-v1", 200)})
    assert LogMask(secrets).filter(record)
    assert record.args == (f"/?q={MASK}", MASK, 200)
    assert "password" not in record.getMessage()


@pytest.mark.parametrize(
    ("template", "arguments"),
    [("pass%s", ("word-v1",)), ("password-v1 %s", ("x",)), ("%(a)s", ({"a": "password-v1"},))],
)
def test_a_value_that_only_the_whole_message_shows_is_masked(
    secrets: Secrets, template: str, arguments: tuple[object, ...]
) -> None:
    """Put together from template and argument, in the template, or in arguments by name."""
    log = Log(secrets)
    log.logger.info(template, *arguments)
    assert MASK in log()
    assert "password-v1" not in log()


def test_an_object_is_asked_once_what_it_shows(secrets: Secrets) -> None:
    """What it shows later may be a value: the record keeps the text of the first time."""
    shown = iter(["nothing", "nothing", "password-v1"])

    class Changing:
        def __str__(self) -> str:
            return next(shown)

    record = logging.makeLogRecord({"msg": "%s", "args": (Changing(),)})
    assert LogMask(secrets).filter(record)
    assert record.getMessage() == "nothing"
    assert record.args is None


def test_every_handler_that_there_is_gets_a_mask(secrets: Secrets) -> None:
    """That of a logger which hands nothing on to the root, and the last resort; once where several loggers share it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("of-this-test.one", "of-this-test.two")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    mask = mask_logs(secrets)
    try:
        for logger in loggers:
            logger.warning("password-v1")
        assert stream.getvalue() == f"{MASK}\n" * 2
        assert len(handler.filters) == 1
        assert logging.lastResort is not None
        assert mask in logging.lastResort.filters
    finally:
        for masked in filter(None, (handler, logging.lastResort, *logging.root.handlers)):
            masked.removeFilter(mask)
        for logger in loggers:
            logger.removeHandler(handler)


def test_each_key_of_a_set_is_masked_by_itself(tmp_path: Path) -> None:
    """The accepted keys of an application, and the shared keys that a key set lists beside the one in use."""
    former, shared = "a former key of the application", Shared("a shared key that was used before", "s0")
    current = Shared("a shared key of 32 bytes, or more", "s1")
    (tmp_path / "jwt").mkdir()
    (tmp_path / "app-key").mkdir()
    jwt = KeyPlace(tmp_path / "jwt", "jwt", current.signs(shared))
    app = KeyPlace(tmp_path / "app-key", "app-key", app_key("the key in use", [former]))
    with jwt.open() as of_tokens, app.open() as of_sessions:
        assert Mask(of_tokens).text(f"{shared.text} {shared.jwk['k']} {current.text} s0") == f"{MASK} {MASK} {MASK} s0"
        assert Mask(of_sessions).text(f"{former}, the key in use") == f"{MASK}, {MASK}"
