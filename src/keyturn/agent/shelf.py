"""What one consumer may read, kept in memory: its newest generation, ready to be sent, and Keyturn's question."""

from keyturn.agent.doors import Door
from keyturn.agent.happened import DELIVERED, NOTHING, OUTAGE, OVER, Happened, Say
from keyturn.client.sources import Generation
from keyturn.client.sources.bundle_dir import BundleDirectory
from keyturn.client.view import View
from keyturn.core.agent import CHALLENGE, GENERATION, MAX_FROM_AGENT, framed
from keyturn.core.errors import AdapterError, Conflict, NotFound, TooLarge


class Shelf:
    """One consumer's generation.

    Args:
        door: whose it is.
        now: seconds of a clock that also counts while the machine sleeps.
        say: hears what changed.
    """

    def __init__(self, door: Door, now: float, say: Say) -> None:
        self.door = door
        self.looked = 0.0
        self.generation = b""
        self.challenge = framed(CHALLENGE, nonce="")
        self._directory = BundleDirectory({"kind": "bundle-dir", "path": str(door.bundle_dir)}, ())
        self._seen = 0.0
        self._failed = ""
        self._refused: AdapterError | None = None
        self._say = say
        self.look(now)

    def look(self, now: float) -> bool:
        """Read what lies there now; whether there is something else to send than before."""
        before = (self.generation, self.challenge)
        self.looked = now
        try:
            generation = self._directory.changed()
            if generation is not None:
                self._refused = self._take(generation)
            if self._refused is not None:  # a generation is returned once, and this one stays refused
                raise self._refused
        except AdapterError as error:
            self._fail(error)
            return False
        self._recover()
        self._seen = now
        self.challenge = framed(CHALLENGE, nonce=self._directory.nonce())
        return (self.generation, self.challenge) != before

    def good_at(self, now: float) -> float:
        """Up to when the agent vouches for what it has, 0 when it has nothing.

        While the directory cannot be read, that is now for as long as the manifest allows, then no more.
        """
        if not self.generation:
            return 0.0
        return min(now, self._seen + self.door.allowance)

    def _take(self, generation: Generation) -> AdapterError | None:
        """Have it ready to be sent; or why it must not be."""
        if generation.environment != self.door.environment:
            return Conflict(f"what lies there is of {generation.environment}, the manifest of {self.door.environment}")
        mine = {name: view for name, view in generation.views.items() if name in self.door.secrets}
        frame = framed(GENERATION, environment=generation.environment, secrets={n: _said(v) for n, v in mine.items()})
        if len(frame) > MAX_FROM_AGENT:
            return TooLarge(f"all that {self.door.consumer} may read is more than {MAX_FROM_AGENT} bytes")
        self.generation = frame
        versions = ", ".join(f"{name} {view.version}" for name, view in sorted(mine.items())) or "nothing"
        self._say(Happened(DELIVERED, self.door.consumer, versions))
        return None

    def _fail(self, error: AdapterError) -> None:
        if error.message == self._failed:
            return
        self._failed = error.message
        if not self.generation:
            what = NOTHING
            line = "nothing is delivered yet: keyturn tick" if isinstance(error, NotFound) else error.message
        else:
            what, line = OUTAGE, f"goes on with what it has: {error.message}"
        self._say(Happened(what, self.door.consumer, line))

    def _recover(self) -> None:
        if self._failed and self._seen:
            self._say(Happened(OVER, self.door.consumer, "its directory can be read again"))
        self._failed = ""


def _said(view: View) -> dict[str, object]:
    """One secret as it is sent."""
    bundle = view.bundle
    fields = {field: _text(bundle[field].reveal()) for field in bundle}
    published = {name: _text(value.reveal()) for name, value in view.published.items()}
    proof_key = _text(bundle.proof_key.reveal())
    return {"version": view.version, "fields": fields, "proof_key": proof_key, "published": published}


def _text(text: str) -> str:
    """What stands in the message for this value."""
    return text
