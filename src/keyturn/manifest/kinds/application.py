"""[consumers.NAME] kind = "application": processes that read a bundle directory and report what they use."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Identifier, Several


class Options(ConsumerTable):
    """An application with `keyturn.client`.

    `bundle_dir` is written by Keyturn and read by the application (for `group`, where it runs as
    another user), `status_dir` the other way; `urls` has one endpoint per process. Where `keyturn agent`
    stands between, both directories are Keyturn's alone.
    """

    kind: Literal["application"]
    """Processes with `keyturn.client`."""
    bundle_dir: AbsolutePath
    """Written by Keyturn, read by the application."""
    status_dir: AbsolutePath | None = None
    """Written by the application, read by Keyturn."""
    urls: Several[HttpUrl] = ()
    """One endpoint per process, instead of the status directory."""
    group: Identifier | None = None
    """Who may read the bundle, where the application runs as another user."""
    agent_user: Identifier | None = None
    """Whose processes get it from the agent: a user's name or number."""
    agent_group: Identifier | None = None
    """The same for all members of a group."""

    @property
    def reports(self) -> bool:
        """Whether there is a place for its reports."""
        return self.status_dir is not None or bool(self.urls)

    def flaws(self) -> Iterator[Flaw]:
        """Two directories that would write into each other."""
        yield from super().flaws()
        bundle, status = self.bundle_dir, self.status_dir
        if status is not None and (bundle.is_relative_to(status) or status.is_relative_to(bundle)):
            yield Flaw(("status_dir",), "not apart from bundle_dir", "give each a directory of its own")
