"""A worker that delivers and rolls, for tests that kill it: python killed_roll.py TABLE VERSION FENCE VALUE."""

import json
import sys
from pathlib import Path

from keyturn.consumers.rolling.declared import compose
from keyturn.core.clock import SystemClock
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.compose import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.testing.rolling_restart import SECRET, roll_all

PROOF_KEY = "ab" * 32
NONE: dict[str, Bundle] = {}


def main() -> int:
    """Deliver, and roll to the end."""
    file, version, fence, value = sys.argv[1:]
    home = Path(file).parent
    around = Surroundings("api", "clo", "test", home, home / "key", NONE.__getitem__, SystemClock())
    rolling = compose(Options.model_validate(json.loads(Path(file).read_text())), around)
    rolling.deliver(Delivery(SECRET, version, Bundle({"password": value}, PROOF_KEY), int(fence)))
    roll_all(rolling, version)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
