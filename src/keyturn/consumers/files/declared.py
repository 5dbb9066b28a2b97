"""The reader of files that a manifest declares."""

import signal

from keyturn.consumers.files import Files
from keyturn.consumers.files.layout import PlainLayout
from keyturn.consumers.files.program import Program, Signal
from keyturn.manifest.kinds.files import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.system.loopback import Request


def declared(options: Options, around: Surroundings) -> Files:
    """The consumer for that table."""
    signalled = None
    if options.signal is not None:
        number = signal.Signals[f"SIG{options.signal.name}"]
        signalled = Signal(options.signal.pidfile, number, options.signal.user)
    http = None
    if options.http is not None:
        http = Request(options.http.method, options.http.url, options.http.socket)
    environment = {"KEYTURN_CONSUMER": around.name, "KEYTURN_BUNDLE_DIR": str(options.bundle_dir)}
    return Files(
        name=around.name,
        service=around.service,
        environment=around.environment,
        bundle_dir=options.bundle_dir,
        program=Program(signalled, options.reload, options.confirm, options.timeout, environment, http),
        layout=PlainLayout(options.env_file, options.env_form, around.variables),
        max_stale=options.max_stale,
        grace=options.grace or 0.0,
        longest_run=options.longest_run or 0.0,
        group=options.group,
        clock=around.clock,
    )
