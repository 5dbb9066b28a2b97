"""What an adapter may know of its surroundings when it is made from its table in the manifest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.core.clock import Clock
from keyturn.core.secret import Bundle


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One adapter's place.

    Args:
        name: the name of its table.
        service, environment: whose it is.
        state: Keyturn's state directory.
        key_file: opens the vaults in it.
        credential: reads the current bundle of another secret, anew at each call.
        clock: the source of time.
        variables: the environment variable of each published name that declares one.
    """

    name: str
    service: str
    environment: str
    state: Path
    key_file: Path
    credential: Callable[[str], Bundle]
    clock: Clock
    variables: Mapping[str, str] = field(default_factory=dict)
