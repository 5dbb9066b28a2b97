"""The job that a manifest declares."""

from keyturn.consumers.job import Job
from keyturn.manifest.kinds.job import Options
from keyturn.manifest.surroundings import Surroundings


def declared(options: Options, around: Surroundings) -> Job:
    """The consumer for that table."""
    return Job(
        name=around.name,
        service=around.service,
        environment=around.environment,
        bundle_dir=options.bundle_dir,
        status_dir=options.status_dir,
        longest_run=options.longest_run or 0.0,
        max_stale=options.max_stale,
        grace=options.grace or 0.0,
        proof=options.proof,
        group=options.group,
    )
