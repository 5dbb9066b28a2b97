"""What a compose file says of a consumer that lives in it, and the changes that bring a file there. Never a value.

The consumer's directory is mounted as a whole: a mount of one file would show the same file for ever, because it is
replaced, not written to. Pure, without I/O.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyturn.cli.delivered import READS_A_BUNDLE
from keyturn.client.environment import variable
from keyturn.consumers.files.layout import field_name, file_name
from keyturn.core.errors import UsageError
from keyturn.core.finding import Finding, Severity
from keyturn.core.generation import field_file
from keyturn.manifest import Manifest
from keyturn.manifest.consumer import ConsumerTable
from keyturn.system.yaml_text import YamlText

PLAIN, PINNED = REASONS = "compose-plain-value", "compose-pinned-file"
CLIENT_TARGET = "/etc/keyturn/client.json"
DOCKER, OUTERMOST = "/run/secrets/", Path("/run")
HEAD = "# Written by `keyturn render --compose`, which keeps what it does not know. No value of a secret is in it.\n"
UPDATE = {"parallelism": 1, "order": "start-first", "failure_action": "rollback"}
_IN_A_FILE = frozenset({"application", "files", "job", "compose"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One service as it shall be.

    Attributes:
        consumer, service: who it is, and what the file calls it.
        home: the directory that Keyturn writes in.
        status: where it reports; None where it does not.
        files: the file of each variable that it has, or may have, with `_FILE` behind it.
        client: whether it reads its bundle by `keyturn.client`.
        replicas: how many there are, None where the manifest does not say it.
        rolls: whether it is updated at all.
        names: the same files by what a Docker secret of that content would be called.
    """

    consumer: str
    service: str
    home: Path
    status: Path | None
    files: Mapping[str, Path]
    client: bool
    replicas: int | None
    rolls: bool
    names: Mapping[str, Path]

    @property
    def config(self) -> str:
        """The name of its client file among the configs."""
        return f"keyturn-{self.consumer}"

    @property
    def client_file(self) -> str:
        """Its client file, beside the compose file."""
        return f"{self.consumer}.keyturn.client.json"


@dataclass(slots=True)
class Draft:
    """A compose file on its way: its text, and what was changed in which service."""

    page: YamlText
    changed: dict[str, list[str]] = field(default_factory=dict)

    def note(self, service: str, what: str, fresh: YamlText) -> None:
        """Take that text; it is a change of that service if it is another one."""
        if fresh.text != self.page.text:
            self.page = fresh
            self.changed.setdefault(service, []).append(what)


def wanted(manifest: Manifest, consumer: str, file: Path, processes: int = 1) -> Wanted | None:
    """How a consumer lives in that file, with so many processes in each container; None where it does not.

    Raises:
        UsageError: what it expects is no multiple of that, or its directory is not its own.
    """
    table, used = manifest.consumers[consumer], manifest.used_by(consumer)
    places = dict(table.directories)
    elsewhere = table.kind == "compose" and Path(str(getattr(table, "file", ""))).resolve() != file.resolve()
    if table.kind not in _IN_A_FILE or "bundle_dir" not in places or not used or elsewhere:
        return None
    _check_own(manifest, consumer, places["bundle_dir"].parent)
    status = places.get("status_dir")
    reads = table.kind in READS_A_BUNDLE and (status is not None or table.kind != "compose")
    views = tuple(_views(manifest, used, places["bundle_dir"], plain=table.kind == "files"))
    return Wanted(
        consumer,
        str(getattr(table, "service", consumer)),
        places["bundle_dir"].parent,
        status,
        {f"{called}_FILE": path for _, called, path in views},
        reads,
        _replicas(consumer, table, status, processes),
        table.kind != "job",
        {one: path for name, _, path in views for one in (name, file_name(name))},
    )


def _check_own(manifest: Manifest, consumer: str, home: Path) -> None:
    """Raise UsageError where a mount of that directory would show the container what is not its own."""
    others = {
        f"{key} of {name}": path
        for name, table in manifest.consumers.items()
        for key, path in table.directories
        if name != consumer
    }
    others["the state directory"] = manifest.keyturn.state
    shown = [what for what, path in others.items() if path.is_relative_to(home)]
    if len(home.parts) <= len(OUTERMOST.parts):
        shown.insert(0, "what else the host has there")
    if shown:
        raise UsageError(
            f"{home}, around the bundle_dir of {consumer}, would be mounted with {shown[0]} in it",
            f'a directory of its own around it: bundle_dir = "/run/keyturn/{consumer}/bundle"',
        )


def _replicas(consumer: str, table: ConsumerTable, status: Path | None, processes: int) -> int | None:
    """Of what reports, `expect` counts processes; of what does not, containers."""
    if table.expect is None or table.kind not in {"application", "compose"}:
        return None
    if table.kind == "compose" and status is None:
        return table.expect
    if table.expect % processes:
        raise UsageError(
            f"{consumer} expects {table.expect} processes, which are no containers of {processes}",
            "--processes says how many each container has; --consumer, for which one",
        )
    return table.expect // processes


def _views(manifest: Manifest, used: tuple[str, ...], bundle: Path, *, plain: bool) -> Iterator[tuple[str, str, Path]]:
    """Each value that the consumer gets by a name: the name, its variable, its file."""
    for name in used:
        table = manifest.secrets[name]
        for published, view in table.publish.items():
            yield published, view.env or variable(published), bundle / (file_name(published) if plain else published)
        if not table.publish and tuple(table.bundle) == ("value",):
            only = field_name(name, "value", ("value",)) if plain else field_file(name, "value")
            yield name, variable(name), bundle / only


def shaped(text: str) -> YamlText:
    """The file, if it is one of services. Raises ValueError: it is not; names the line."""
    page = YamlText(text)
    if not isinstance(page.data, Mapping | None) or not isinstance(page.at("services"), Mapping | None):
        raise _off(page, (), "no table of services")
    for name, service in (page.at("services") or {}).items():
        if not isinstance(service, Mapping):
            raise _off(page, ("services", name), "a service is a table")
        for key in ("volumes", "secrets", "configs"):
            if not isinstance(service.get(key), list | None):
                raise _off(page, ("services", name, key), f"{key} is a list")
    return page


def _off(page: YamlText, place: tuple[str, ...], what: str) -> ValueError:
    return ValueError(f"line {page.line(*place)}: {what}")


def findings(page: YamlText, manifest: Manifest, services: tuple[Wanted, ...]) -> tuple[Finding, ...]:
    """What must be put right by a person first: values in the file, and mounts that would never change."""
    declared, found = dict(_variables_of(manifest)), list[Finding]()
    for service, content in (page.at("services") or {}).items():
        for at, name, value in _variables(content):
            if name in declared and value != "":
                where = page.line("services", service, "environment", at)
                message = f"line {where}: {name} of {declared[name]} is a value in it, or gets one from outside"
                remedy = f"take it out: {name}_FILE names a file, KEYTURN_CLIENT what an application opens"
                found.append(Finding(PLAIN, service, Severity.CRITICAL, message, remedy))
    for one in services:
        found += _pinned(page, one)
    return tuple(found)


def _variables_of(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every variable that a value of the manifest could go by, and its secret."""
    for secret, table in manifest.secrets.items():
        for name, view in table.publish.items():
            yield from ((called, secret) for called in (variable(name), view.env) if called)
        if not table.publish and tuple(table.bundle) == ("value",):
            yield variable(secret), secret


def _pinned(page: YamlText, one: Wanted) -> Iterator[Finding]:
    for number, volume in enumerate(page.at("services", one.service, "volumes") or []):
        source = _source(volume)
        inside = source is not None and source.is_relative_to(one.home) and source != one.home
        if inside and (one.status is None or not source.is_relative_to(one.status)):  # type: ignore[union-attr] # it is inside
            where = page.line("services", one.service, "volumes", number)
            message = f"line {where}: {source} is mounted by itself, and stays as it is when Keyturn switches"
            yield Finding(PINNED, one.service, Severity.WARNING, message, f"mount {one.home}, and read it there")


def brought(text: str, services: tuple[Wanted, ...]) -> Draft:
    """The file with these services as they shall be. Raises ValueError at a place that cannot be changed so."""
    draft = Draft(shaped(text))
    for one in services:
        if draft.page.at("services", one.service) is None:
            image = f"${{{variable(one.service)}_IMAGE:?which image}}"
            draft.note(one.service, "service", draft.page.put(("services", one.service, "image"), image))
        _environment(draft, one)
        _client(draft, one)
        _mounts(draft, one)
        _secrets(draft, one)
        _deploy(draft, one)
    return draft


def _environment(draft: Draft, one: Wanted) -> None:
    needed = {name: path for name, path in one.files.items() if not one.client}
    for _, name, value in _variables(draft.page.at("services", one.service)):
        docker = (value or "").removeprefix(DOCKER) if (value or "").startswith(DOCKER) else ""
        if name in one.files or docker in one.names:
            needed[name] = one.files[name] if name in one.files else one.names[docker]
    for name, path in needed.items():
        _variable(draft, one.service, name, str(path).replace("$", "$$"))
    if one.client:
        _variable(draft, one.service, "KEYTURN_CLIENT", CLIENT_TARGET)


def _variable(draft: Draft, service: str, name: str, text: str) -> None:
    path = ("services", service, "environment")
    if isinstance(draft.page.at(*path), list):
        at = next((at for at, there, _ in _variables(draft.page.at("services", service)) if there == name), None)
        line = f"{name}={text}"
        fresh = draft.page.append(path, line) if at is None else draft.page.put((*path, at), line)
    else:
        fresh = draft.page.put((*path, name), text)
    draft.note(service, name, fresh)


def _variables(service: object) -> Iterator[tuple[str | int, str, str | None]]:
    """Place, name and value of each; None where the value comes from whoever starts it."""
    environment = service.get("environment") if isinstance(service, Mapping) else None
    if isinstance(environment, Mapping):
        yield from ((name, str(name), None if value is None else str(value)) for name, value in environment.items())
    elif isinstance(environment, list):
        for at, item in enumerate(environment):
            name, equals, value = str(item).partition("=")
            yield at, name, value if equals else None


def _client(draft: Draft, one: Wanted) -> None:
    """Its client file, which holds no value, as a config."""
    if not one.client:
        return
    page = draft.page.put(("configs", one.config, "file"), f"./{one.client_file}")
    path, item = ("services", one.service, "configs"), {"source": one.config, "target": CLIENT_TARGET}
    draft.note(one.service, "configs", _item(page, path, item, lambda there: _named(there) == one.config))


def _mounts(draft: Draft, one: Wanted) -> None:
    path = ("services", one.service, "volumes")
    for place, read_only in ((one.home, True), (one.status, False)):
        if place is not None:
            text = str(place).replace("$", "$$")
            item: dict[str, Any] = {"type": "bind", "source": text, "target": text}
            item |= {"read_only": True} if read_only else {}
            item["bind"] = {"create_host_path": False}
            draft.note(
                one.service,
                f"volume {place}",
                _item(draft.page, path, item, lambda there, at=Path(text): _target(there) == at),
            )


def _secrets(draft: Draft, one: Wanted) -> None:
    """Without the Docker secrets that the directory brings, and without what nobody uses of them then."""
    path = ("services", one.service, "secrets")
    for name in sorted(one.names):
        for at, item in reversed(list(enumerate(draft.page.at(*path) or []))):
            if _named(item) == name:
                draft.note(one.service, f"secret {name} taken out", draft.page.drop((*path, at)))
        if draft.page.at("secrets", name) is not None and not _used(draft.page, name):
            draft.note(one.service, f"secret {name} taken out", draft.page.drop(("secrets", name)))


def _used(page: YamlText, name: str) -> bool:
    services = (page.at("services") or {}).values()
    return any(
        _named(item) == name for one in services if isinstance(one, Mapping) for item in one.get("secrets") or []
    )


def _deploy(draft: Draft, one: Wanted) -> None:
    path = ("services", one.service, "deploy")
    if one.replicas is not None:
        if draft.page.at("services", one.service, "scale") is not None:
            place = ("services", one.service, "scale")
            raise _off(draft.page, place, "scale says what deploy.replicas says: take it out")
        was = draft.page.at(*path, "replicas")
        what = f"replicas {one.replicas}" + ("" if was is None else f", was {was}")
        draft.note(one.service, what, draft.page.put((*path, "replicas"), one.replicas))
    if one.rolls:
        for key, value in UPDATE.items():
            draft.note(one.service, f"update {key}", draft.page.put((*path, "update_config", key), value))


def _item(page: YamlText, path: tuple[str, ...], item: dict[str, Any], same: Any) -> YamlText:  # noqa: ANN401 - of one item
    """The list with that item, in the place of the one that is the same."""
    there = page.at(*path) or []
    at = next((number for number, one in enumerate(there) if same(one)), None)
    return page.append(path, item) if at is None else page.put((*path, at), item)


def _named(item: object) -> str:
    return str(item.get("source", "")) if isinstance(item, Mapping) else str(item)


def _source(volume: object) -> Path | None:
    text = str(volume.get("source", "")) if isinstance(volume, Mapping) else str(volume).partition(":")[0]
    return Path(text) if text.startswith("/") else None


def _target(volume: object) -> Path | None:
    if isinstance(volume, Mapping):
        return Path(str(volume.get("target", "")))
    _, *rest = str(volume).split(":")
    return Path(rest[0]) if rest else None
