"""[consumers.NAME] kind = "kubernetes": a workload that mounts a Secret object."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, Several


class Options(ConsumerTable):
    """One workload; `action` says whether its pods pick a change up, or are rolled."""

    kind: Literal["kubernetes"]
    namespace: Line
    workload: Line
    secret: Line
    kubeconfig: AbsolutePath | None = None
    context: Line | None = None
    action: Literal["none", "rollout"] = "none"
    urls: Several[HttpUrl] = ()

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether pods say what they run on, or are started anew."""
        return bool(self.urls) or self.action == "rollout"
