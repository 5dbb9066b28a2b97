"""The challenge: a nonce under which every instance has to prove anew what it holds.

A nonce stands until every live instance has answered it, at least `MIN_LIFE`, at most `MAX_LIFE`
seconds; then the next one is asked. An observation right after a new nonce would find no answer to
it, so the one before, asked about the same generation, still counts. The file says which generation
the nonce was asked about: no answer from before a delivery counts after it, and an observer that
starts anew (each `tick` is one) goes on with the nonce that stands.
"""

import secrets
from pathlib import Path

from keyturn.core.clock import Clock, parse_rfc3339, rfc3339
from keyturn.core.errors import AdapterError
from keyturn.core.generation import CHALLENGE, MAX_CHALLENGE_BYTES, Challenge
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory

NONCE_BYTES = 32
MIN_LIFE = 1.0
MAX_LIFE = 15.0


class Questions:
    """The file `challenge` in `home`, which only Keyturn writes."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock

    def standing(self, generation: str, group: int | None) -> Challenge:
        """The question that stands about this generation; asked now when there is none."""
        try:
            with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
                challenge = Challenge.parse(home.read(CHALLENGE, MAX_CHALLENGE_BYTES, private=WRITABLE_BY_OTHERS))
        except (AdapterError, ValueError):
            return self.ask(generation, group)
        return challenge if challenge.generation == generation else self.ask(generation, group)

    def ask(self, generation: str | None, group: int | None, previous: str = "") -> Challenge:
        """Put a fresh nonce there."""
        made = rfc3339(self._clock.now().wall)
        challenge = Challenge(secrets.token_hex(NONCE_BYTES), generation or "", made, previous)
        with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
            mode = 0o640 if group is not None else 0o600
            # not durable: after a power cut nobody lives to whom the question was put
            home.write(CHALLENGE, challenge.dump(), mode=mode, group=group, durable=False)
        return challenge

    def ask_again(self, answered: Challenge, generation: str, group: int | None) -> None:
        """Put the next nonce there, unless another observer did or the last one is too young."""
        if self._age(answered) >= MIN_LIFE and self.standing(generation, group) == answered:
            self.ask(generation, group, previous=answered.nonce)

    def outlived(self, challenge: Challenge) -> bool:
        """Whether it has waited long enough for those who do not answer."""
        return self._age(challenge) > MAX_LIFE

    def _age(self, challenge: Challenge) -> float:
        """Seconds; for ever where the time cannot be read or lies ahead."""
        try:
            seconds = (self._clock.now().wall - parse_rfc3339(challenge.made)).total_seconds()
        except ValueError:
            return float("inf")
        return seconds if seconds >= 0 else float("inf")
