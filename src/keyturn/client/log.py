"""What the client writes to the log of its application, as the logger `keyturn.client`. Never a value.

`logging` is loaded when there is something to say: an application that has not loaded it would not see what is below
a warning, and importing it costs a fifth of all that importing the client costs.
"""

import sys

NAME = "keyturn.client"


def info(message: str, *words: object) -> None:
    """For whoever wants to know."""
    if "logging" in sys.modules:
        import logging

        logging.getLogger(NAME).info(message, *words)


def warning(message: str, *words: object) -> None:
    """For an operator to look at."""
    import logging

    logging.getLogger(NAME).warning(message, *words)


def error(message: str, *words: object) -> None:
    """A fault of the client itself."""
    import logging

    logging.getLogger(NAME).error(message, *words)
