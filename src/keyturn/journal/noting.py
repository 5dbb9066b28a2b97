"""Writing down what depends on no other record: where others write to the stream too, it is tried again."""

from keyturn.core.errors import Conflict
from keyturn.journal.record import Event, Journal, Record

TRIES = 3
"""How often somebody else may write to the stream between our look and our record, less one."""


def note(journal: Journal, stream: str, event: Event) -> Record:
    """Append `event` behind whatever is the head of the stream now; durable on return.

    Raises:
        Conflict: others wrote each time; nothing was written.
        AdapterError: as `Journal.append`.
    """
    for _ in range(TRIES - 1):
        try:
            return journal.append(stream, journal.head(stream).seq, event)
        except Conflict:
            continue
    return journal.append(stream, journal.head(stream).seq, event)
