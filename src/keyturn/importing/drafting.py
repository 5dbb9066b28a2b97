"""From what was found to a plan: each entry to its place, each secret to a bundle, and all that stands in the way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from keyturn.core.errors import UsageError
from keyturn.core.finding import Finding, Severity
from keyturn.core.secret import SecretValue, check_text
from keyturn.importing.bundling import MAY_BE_EMPTY, PUBLIC, Piece, Pieces, bundled
from keyturn.importing.judging import is_placeholder, length_class, looks_secret, named_secret
from keyturn.importing.leads import Lead, Leads, canonical
from keyturn.importing.pairs import identity_of, is_authority
from keyturn.importing.parting import part
from keyturn.importing.plan import Draft, Ready, Row, What
from keyturn.manifest.model import Manifest
from keyturn.manifest.secret import SecretTable
from keyturn.stores.taking import Entry, Found, Refusal

FILE = "_FILE"
_CERTIFICATES = frozenset({"certificate", "chain"})
_PRIVATE = frozenset({"private-key", "encrypted-private-key", "key-and-certificates"})


def draft(found: Found, manifest: Manifest, leads: Leads, now: datetime) -> Draft:
    """The plan for these entries.

    Args:
        found: what was read of all sources.
        manifest: what is declared.
        leads: where names lead.
        now: for the dates of certificates.
    """
    drafting = _Drafting(manifest)
    for item in _led(found.entries, manifest, leads):
        drafting.take(item)
    for refusal in found.refused:
        drafting.refuse(refusal, leads)
    return drafting.done(now)


@dataclass(slots=True)
class _Item:
    """One entry on its way: where it leads, and what became of it."""

    entry: Entry
    leads: tuple[Lead, ...] | None
    what: What = "setting"
    to: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    identity: bytes | None = None
    """The public key that it is, or belongs to."""

    def row(self) -> Row:
        entry = self.entry
        notes = (*self.notes, *filter(None, (entry.note, entry.stripped and f"{entry.stripped} left out")))
        length = length_class(entry.value) if self.to else ""
        return Row(entry.source, entry.line, entry.key, self.what, tuple(self.to), length, "; ".join(notes))


def _led(entries: tuple[Entry, ...], manifest: Manifest, leads: Leads) -> list[_Item]:
    """Every entry with where it leads: by its name, and where that says nothing, by the PEM text that it is."""
    items = [_Item(entry, leads.of(entry.key)) for entry in entries]
    for item in items:
        item.identity = identity_of(item.entry.value) if item.entry.pem else None
    tables = manifest.secrets
    of_kind = {kind: [name for name, table in tables.items() if table.kind == kind] for kind in ("tls", "jwt")}
    for item in items:
        if item.leads == () and item.entry.pem is not None:
            for kind, guess in (("tls", _of_certificate), ("jwt", _of_signing)):
                if len(of_kind[kind]) == 1 and (template := guess(item, items)):
                    item.leads = (Lead(of_kind[kind][0], template),)
                    item.notes.append("known by its content")
                    break
    return items


def _of_certificate(item: _Item, items: list[_Item]) -> str:
    """A certificate, an authority's, or the private key that belongs to a certificate that was found."""
    entry = item.entry
    if entry.pem is not None and entry.pem.kind in _CERTIFICATES:
        return "{ca_bundle}" if is_authority(entry.value) else "{certificate}{chain}"
    certificates = (one for one in items if one.entry.pem and one.entry.pem.kind in _CERTIFICATES)
    belongs = item.identity is not None and any(one.identity == item.identity for one in certificates)
    return "{private_key}" if entry.pem is not None and entry.pem.kind == "private-key" and belongs else ""


def _of_signing(item: _Item, items: list[_Item]) -> str:
    """One half of a pair of keys of which the other half was found, too."""
    halves = {"private-key": "public-key", "public-key": "private-key"}
    kind = item.entry.pem.kind if item.entry.pem else ""
    if kind not in halves or item.identity is None:
        return ""
    others = (one for one in items if one.entry.pem and one.entry.pem.kind == halves[kind])
    return f"{{{kind.replace('-', '_')}}}" if any(one.identity == item.identity for one in others) else ""


class _Drafting:
    """Takes entries one by one, and says at the end what came of them."""

    def __init__(self, manifest: Manifest) -> None:
        self._secrets: Mapping[str, SecretTable] = manifest.secrets
        self._items: list[_Item] = []
        self._rows: list[Row] = []
        self._pieces: dict[str, Pieces] = {}
        self._findings: list[Finding] = []

    def take(self, item: _Item) -> None:
        """One entry: into its fields, or named."""
        self._items.append(item)
        if item.leads is None:
            item.what = "ignored"
        elif not item.leads:
            self._unmatched(item)
        elif len(item.leads) > 1:
            places = " or ".join(lead.secret for lead in item.leads)
            self._stop(item, "import-ambiguous", f"it could be of {places}", f"--map {item.entry.key}=SECRET.FIELD")
        else:
            self._part(item, item.leads[0])

    def refuse(self, refusal: Refusal, leads: Leads) -> None:
        """Something that could not be read: in the way where it is, or may be, a secret."""
        self._rows.append(Row(refusal.source, refusal.line, refusal.key, "refused", (), "", refusal.reason))
        led = leads.of(refusal.key)
        serious = led is not None and (bool(led) or named_secret(canonical(refusal.key)))
        subject = self._rows[-1].where + (f" {refusal.key}" if refusal.line is not None else "")
        severity = Severity.CRITICAL if serious else Severity.WARNING
        self._findings.append(Finding("import-unread", subject, severity, refusal.reason, refusal.remedy))

    def done(self, now: datetime) -> Draft:
        """The plan."""
        ready: list[Ready] = []
        refused = {lead.secret for item in self._items if item.what == "refused" for lead in item.leads or ()}
        for name, pieces in self._pieces.items():
            made, findings = bundled(name, self._secrets[name], pieces, now)
            if name in refused:  # what is missing may be in what was refused
                findings = [one for one in findings if one.reason != "import-incomplete"]
            elif made is not None:
                ready.append(made)
            self._findings += findings
        stopped = self._pieces.keys() - {one.secret for one in ready}
        for item in self._items:
            if any(to.partition(".")[0] in stopped for to in item.to):
                item.what = "refused"
        self._findings += _shared(ready)
        rows = (*(item.row() for item in self._items), *self._rows)
        declared = {name: self._secrets[name].kind for name in self._pieces}
        return Draft(rows, tuple(ready), tuple(self._findings), declared)

    def _unmatched(self, item: _Item) -> None:
        entry = item.entry
        if entry.key.endswith(FILE):
            item.notes.append("it names a file: --root DIR reads it")
            return
        private = entry.pem is not None and entry.pem.kind in _PRIVATE
        if looks_secret(entry.key, entry.value, private_key=private):
            item.what = "open"
            remedy = f"--map {entry.key}=SECRET.FIELD, or --map {entry.key}=ignore"
            said = "it looks like a secret, and the manifest has no name for it"
            self._findings.append(Finding("import-unmatched", _subject(entry), Severity.WARNING, said, remedy))

    def _part(self, item: _Item, lead: Lead) -> None:
        table, entry = self._secrets[lead.secret], item.entry
        if not entry.value and not _may_be_empty(table, lead):
            self._stop(item, "import-empty", "it is empty", f"fill it in, or --map {entry.key}=ignore")
            return
        try:
            parted = part(lead.template, entry.value)
            for value in parted.parts.values():
                check_text(value.reveal())  # a percent-code may stand for what no target takes
        except UsageError as error:
            if is_placeholder(entry.value):
                self._placeholder(item)
            else:
                self._stop(item, "import-form", f"{lead.secret}: {error.message}", error.remedy)
            return
        item.notes += parted.doubts
        for doubt in parted.doubts:
            remedy = f"readers will get what publish of {lead.secret} in the manifest says"
            self._findings.append(Finding("import-doubt", _subject(entry), Severity.WARNING, doubt, remedy))
        same = []
        for name, value in parted.parts.items():
            if name in table.bundle:
                self._field(item, lead.secret, name, value)
            elif self._place(item, lead.secret, name, value):
                same.append(name)
        if same:
            item.notes.append(f"{', '.join(same)} as in the manifest")

    def _field(self, item: _Item, secret: str, name: str, value: SecretValue) -> None:
        pieces = self._pieces.setdefault(secret, {})
        if item.what != "refused":
            item.what = "taken" if name not in pieces or item.what == "taken" else "agrees"
        item.to.append(f"{secret}.{name}")
        pieces.setdefault(name, []).append(Piece(item.entry, value))
        if is_placeholder(value):
            self._placeholder(item)

    def _place(self, item: _Item, secret: str, name: str, value: SecretValue) -> bool:
        """Whether the target is where the manifest says; what the manifest does not say is no difference."""
        declared = self._secrets[secret].whereabouts.get(name)
        if declared is None or _same_place(declared, value):
            return declared is not None
        said = f"its {name} is not that of {secret} in the manifest"
        remedy = f"mend target of {secret}, or --map {item.entry.key}=ignore"
        if is_placeholder(value) and not item.to:
            self._findings.append(Finding("import-doubt", _subject(item.entry), Severity.WARNING, said, remedy))
        else:
            self._stop(item, "import-differs", said, remedy)
        return False

    def _placeholder(self, item: _Item) -> None:
        if any(one.reason == "import-placeholder" and one.subject == _subject(item.entry) for one in self._findings):
            return
        said = "it is a placeholder that somebody meant to replace"
        self._stop(item, "import-placeholder", said, f"write the real one, or --map {item.entry.key}=ignore")

    def _stop(self, item: _Item, reason: str, message: str, remedy: str) -> None:
        item.what = "refused"
        self._findings.append(Finding(reason, _subject(item.entry), Severity.CRITICAL, message, remedy))


def _subject(entry: Entry) -> str:
    place = str(entry.source) if entry.line is None else f"{entry.source}:{entry.line}"
    return place if entry.line is None else f"{place} {entry.key}"


def _may_be_empty(table: SecretTable, lead: Lead) -> bool:
    """Whether the whole value is a field that may be empty: eject writes those as well."""
    field = lead.template.removeprefix("{").removesuffix("}")
    return field in MAY_BE_EMPTY and table.follows.get(field) == ""


def _same_place(declared: str, value: SecretValue) -> bool:
    return value == SecretValue(declared) or _lower(value.reveal()) == SecretValue(declared.lower())


def _lower(text: str) -> SecretValue:
    """Hosts are the same in any case."""
    return SecretValue(text.lower())


def _shared(ready: list[Ready]) -> Iterator[Finding]:
    """One value in two secrets: who learns the one knows the other."""
    held = [
        (one.secret, name, value)
        for one in ready
        for name, value in one.bundle.items()
        if name not in PUBLIC and name not in one.filled
    ]
    for at, (secret, name, value) in enumerate(held):
        for other, its_name, its_value in held[:at]:
            if other != secret and value == its_value:
                said = f"{secret}.{name} and {other}.{its_name} are one and the same value"
                yield Finding(
                    "import-shared", secret, Severity.WARNING, said, f"change {secret} soon, and give each its own"
                )
