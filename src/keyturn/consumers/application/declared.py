"""The application that a manifest declares."""

from keyturn.consumers.application import Application
from keyturn.core.errors import NotAvailable
from keyturn.manifest.kinds.application import Options
from keyturn.manifest.surroundings import Surroundings


def declared(options: Options, around: Surroundings) -> Application:
    """The consumer for that table.

    Raises:
        NotAvailable: it reports by URL.
    """
    if options.urls:
        raise NotAvailable("a consumer's 'urls'")
    return Application(
        name=around.name,
        service=around.service,
        environment=around.environment,
        bundle_dir=options.bundle_dir,
        status_dir=options.status_dir,
        expect=options.expect,
        max_stale=options.max_stale,
        grace=options.grace or 0.0,
        longest_run=options.longest_run or 0.0,
        proof=options.proof,
        group=options.group,
        clock=around.clock,
    )
