"""keyturn.toml to frozen objects, with positions for every complaint."""

from keyturn.manifest.model import Manifest
from keyturn.manifest.problems import ManifestError, Problem
from keyturn.manifest.reading import load

__all__ = ["Manifest", "ManifestError", "Problem", "load"]
