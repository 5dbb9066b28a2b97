"""Are Keyturn's files and directories there, ours, and closed to others."""

from dataclasses import dataclass

from keyturn.core.finding import Finding, Severity

REASONS = (
    "place-missing",
    "place-open",
    "place-foreign",
    "place-unreadable",
    "values-on-disk",
    "space-short",
    "key-beside-vault",
    "key-in-software",
)


@dataclass(frozen=True, slots=True)
class Place:
    """One file or directory.

    `open_bits` are the mode bits that must not be set, `needed` whether its absence is a fault,
    `mode` and `owner` None when it is not there, `failure` why it could not be looked at, `disk` the
    type of a file system that keeps values which lie there in the clear.
    """

    path: str
    what: str
    open_bits: int
    user: int
    mode: int | None = None
    owner: int | None = None
    needed: bool = True
    failure: str = ""
    disk: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """Where the key file lies: beside the vault, or elsewhere as a plain file that whoever copies the disk has, too."""

    path: str
    beside: bool
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """How many bytes are free for us where something is written, and how many should be."""

    path: str
    what: str
    free: int
    wanted: int


def space_findings(facts: tuple[Space, ...]) -> tuple[Finding, ...]:
    """A full disk keeps a rotation from recording what it did, so it stands still before it has begun."""
    return tuple(
        Finding(
            "space-short",
            space.path,
            Severity.WARNING,
            f"{space.what} has {space.free // 1024} KiB free, {space.wanted // 1024} KiB should be",
            f"df {space.path}, and make room",
        )
        for space in facts
        if space.free < space.wanted
    )


def findings(facts: tuple[Place, ...]) -> tuple[Finding, ...]:
    """What is missing, somebody else's, or open."""
    return tuple(found for place in facts for found in _of(place))


def _of(place: Place) -> tuple[Finding, ...]:
    subject = place.path
    if place.failure:
        return (Finding("place-unreadable", subject, Severity.UNKNOWN, f"{place.what}: {place.failure}"),)
    if place.mode is None:
        missing = Finding("place-missing", subject, Severity.CRITICAL, f"{place.what} is not there", "keyturn init")
        return (missing,) if place.needed else ()
    found = []
    if place.owner not in {place.user, 0}:
        message = f"{place.what} belongs to user {place.owner}"
        found.append(Finding("place-foreign", subject, Severity.CRITICAL, message, f"chown {place.user} {subject}"))
    if place.mode & place.open_bits:
        message = f"{place.what} has mode {place.mode:04o}"
        remedy = f"chmod {place.mode & ~place.open_bits:04o} {subject}"
        found.append(Finding("place-open", subject, Severity.CRITICAL, message, remedy))
    if place.disk:
        message = f"{place.what} lies on {place.disk}: a copy of the disk has the values, also those of long ago"
        found.append(Finding("values-on-disk", subject, Severity.INFO, message, "mount a tmpfs around it"))
    return tuple(found)


def key_findings(facts: Key) -> tuple[Finding, ...]:
    """A key that lies beside what it opens protects a copied disk no more than no key."""
    if facts.beside:
        message = "the key file lies in the state directory: whoever copies that directory has the values"
        remedy = "move it, and set KEYTURN_VAULT_KEY_FILE"
        return (Finding("key-beside-vault", facts.path, Severity.INFO, message, remedy),)
    if facts.plain:
        message = "the key that opens the vaults is a file: whoever copies this host's disk has it"
        remedy = "a systemd credential, encrypted to this machine's TPM (systemd-creds encrypt)"
        return (Finding("key-in-software", facts.path, Severity.INFO, message, remedy),)
    return ()
