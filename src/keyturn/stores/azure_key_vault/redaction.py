"""Nothing that the SDK logs holds a token or a value, whatever level and options an application sets.

Keyturn switches `logging_enable` off in each call; this is what still holds where somebody switches it on.
"""

import logging
import re

LOGGERS = (
    "azure",
    "azure.core.pipeline.policies.http_logging_policy",
    "azure.core.pipeline.policies._universal",
    "azure.identity",
)
"""A filter hears only what is logged at its own logger: these write of requests; each other one of `ROOTS` has it, too.

The last that was found: an answer that is no JSON is logged with the error that holds it.
"""

ROOTS = ("azure", "msal")
"""Where the names of the SDK's loggers begin."""

_TOKEN = re.compile(r"(?i)\b(Bearer|PoP)\s+[^\s'\",]+")
_CONTENT = re.compile(
    r"(?is)(value|access_token|refresh_token|id_token|client_secret|client_assertion|assertion)\W{0,4}[:=].*|"
    r"(Request body:|Response content:|Body is:|\bfailed:).*"
)


def redacted(text: str) -> str:
    """The text without tokens; from where a body begins, nothing is left."""
    return _CONTENT.sub("(left out by keyturn)", _TOKEN.sub(r"\1 (left out by keyturn)", text))


class Redaction(logging.Filter):
    """Rewrites each record before anybody sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without what must not be in it."""
        record.msg, record.args = redacted(record.getMessage()), ()
        record.exc_info, record.exc_text = None, None  # the frames and texts of the SDK's errors hold bodies
        return True


_THE_FILTER = Redaction()


def install() -> None:
    """Put the filter on the SDK's loggers; more than once is once. Levels and handlers are left as they are.

    Where an application has set up no logging, warnings of the SDK would go to stderr: they go nowhere.
    """
    loaded = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ROOTS]
    for name in {*LOGGERS, *loaded}:
        logging.getLogger(name).addFilter(_THE_FILTER)
    for name in ROOTS:
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())
