"""What `keyturn audit verify` finds out: the journal, judged with the checkpoints that lie outside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.checks import checkpoints as outside
from keyturn.checks import journal as chain
from keyturn.cli.outside import identity_of
from keyturn.core.errors import AdapterError, Corrupt, UsageError
from keyturn.core.finding import Finding
from keyturn.journal.anchor import Anchored, Source
from keyturn.journal.audit import anchored, read_checkpoints, verify
from keyturn.journal.chain import Verdict
from keyturn.journal.checkpoint import Identity
from keyturn.manifest import Manifest, settings
from keyturn.wiring import State


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, for programs and for people, and what fails."""

    data: Mapping[str, Any]
    lines: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """Anchored, self-consistent only, or broken at some place."""
        return str(self.data["verdict"])


@dataclass(frozen=True, slots=True)
class _Read:
    """One place that was read: what was found, or why nothing could be."""

    path: Path
    declared: bool
    source: Source | None
    failure: AdapterError | None


def judgement(manifest: Manifest, state: State, files: Sequence[Path]) -> Judgement:
    """Judge the journal.

    Args:
        manifest: pins the key, and declares files of checkpoints.
        state: where the journal is.
        files: read instead of the declared ones.

    Raises:
        UsageError: files were named, and the manifest pins no key.
        AdapterError: the journal cannot be read.
    """
    identity = identity_of(manifest)
    if files and identity is None:
        raise UsageError("the manifest pins no checkpoint key", "keyturn audit checkpoint says which one to pin")
    try:
        if identity is None:
            verdict = verify(state.journal, state.high_water)
            return _judgement(str(verdict), verdict, None, ())
        # Outside first: what is made meanwhile is then in the journal already.
        places = tuple(_read(path, identity, declared=not files) for path in files or _declared(manifest))
        sources = [place.source for place in places if place.source is not None]
        judged = anchored(state.journal, state.high_water, identity, sources)
    except Corrupt as damage:
        data: dict[str, Any] = {"verdict": "broken", "records": {}, "flaws": [], "anchor": None, "outside": []}
        return Judgement(data, ("broken",), chain.findings(chain.Chains("", (), damage)))
    return _judgement(str(judged), judged.verdict, judged, places)


def _declared(manifest: Manifest) -> Iterator[Path]:
    declared = manifest.keyturn.checkpoints
    for target in declared.targets.values() if declared else ():
        if isinstance(target, settings.FileTarget):
            yield target.path


def _read(path: Path, identity: Identity, *, declared: bool) -> _Read:
    try:
        return _Read(path, declared, read_checkpoints(path, identity, whole=declared), None)
    except AdapterError as failure:
        return _Read(path, declared, None, failure)


def _judgement(said: str, verdict: Verdict, judged: Anchored | None, places: Sequence[_Read]) -> Judgement:
    counts = {stream: head.seq for stream, head in sorted(verdict.heads.items())}
    flaws = [{"stream": one.stream, "seq": one.seq, "how": str(one.how), "why": one.why} for one in verdict.flaws]
    spoilt = judged.blemishes if judged else ()
    bad = [{"where": one.where, "line": one.line, "how": str(one.how), "why": one.why} for one in spoilt]
    anchor = judged.anchor if judged else None
    told = anchor and {"n": anchor.n, "time": anchor.time, "where": anchor.where, "uncovered": anchor.uncovered}
    data = {"verdict": said, "records": counts, "flaws": flaws, "anchor": told, "outside": bad}
    newer = () if anchor is None else (f"newer than that, and so only self-consistent: {anchor.uncovered} records",)
    lines = (said, *newer, *(f"{stream}: {count} records" for stream, count in counts.items()))
    broken = chain.findings(chain.Chains(said, tuple(map(str, verdict.flaws)), None))
    return Judgement(data, lines, (*broken, *_outside(places, judged)))


def _outside(places: Sequence[_Read], judged: Anchored | None) -> Iterator[Finding]:
    made = judged.made if judged else 0
    for place in places:
        where = str(place.path)
        if place.source is None:
            if made or not place.declared:
                yield from outside.findings(outside.Place(where, place.declared, failure=place.failure), made)
            continue
        newest = max((one.n for _, one in place.source.found), default=0)
        bad = tuple(str(one) for one in (judged.blemishes if judged else ()) if one.where == where)
        yield from outside.findings(outside.Place(where, place.declared, newest, place.source.foreign, bad), made)
