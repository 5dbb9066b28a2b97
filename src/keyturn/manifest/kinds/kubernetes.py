"""[consumers.NAME] kind = "kubernetes": a workload that mounts a Secret object."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, Several


class Options(ConsumerTable):
    """One workload; `action` says whether its pods pick a change up, or are rolled."""

    kind: Literal["kubernetes"]
    """A workload that mounts a Secret object."""
    namespace: Line
    """Its namespace."""
    workload: Line
    """Such as `deployment/clo-api`."""
    secret: Line
    """The Secret object."""
    kubeconfig: AbsolutePath | None = None
    """How to reach the cluster, if not from inside."""
    context: Line | None = None
    """Of the kubeconfig."""
    action: Literal["none", "rollout"] = "none"
    """`rollout` where pods read only at their start."""
    urls: Several[HttpUrl] = ()
    """One endpoint per process."""

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether pods say what they run on, or are started anew."""
        return bool(self.urls) or self.action == "rollout"
