"""Where the command begins.

Ctrl-C before and after the work ends it without a word: nothing was begun, or all is done.
"""

import gc
import os
import signal
import sys
from importlib import import_module

from keyturn.cli.quick import understood

WORK, RUN = "keyturn.cli.main", "keyturn.cli.program"


def main() -> None:
    """Load the command, which takes a moment, and run it. Ends the process."""
    quietly = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if quietly:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What the imports made stays, and a command ends soon: looking through all of it again and again is a tenth of
    # the time that `status` takes with many secrets.
    gc.set_threshold(50_000, 20, 20)
    words = understood(sys.argv[1:], os.environ)
    work = import_module(RUN if words else WORK)
    gc.freeze()
    if quietly:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        work.main(words) if words else work.main()
    finally:
        if quietly:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
