"""`keyturn render --compose`: the services that the manifest's consumers are, written or brought up to date."""

from pathlib import Path

from keyturn.cli import client_file
from keyturn.cli.answer import Answer
from keyturn.cli.composing import HEAD, Draft, Wanted, brought, findings, shaped, wanted
from keyturn.cli.render_answer import answer
from keyturn.core.errors import Corrupt, NotFound, UsageError
from keyturn.manifest import Manifest
from keyturn.system.files import Directory, read_text
from keyturn.system.yaml_text import YamlText

MAX_BYTES = 1024 * 1024
FROM_AGENT = "served by the agent, for which no mounts are written"
BY_HAND = "mount the directory of agent_socket, and the file that keyturn render --client writes"
MODE = 0o644
"""Of a new file: it holds no value. One that is there keeps its own."""


def compose(manifest: Manifest, path: Path, consumer: str | None, processes: int, *, check: bool) -> Answer:
    """What `render --compose` does.

    Raises:
        UsageError: the consumer is none, or does not live in such a file.
        Corrupt: the file is no YAML, or must be changed where it cannot be.
        AdapterError: it cannot be read or written.
    """
    text = _there(path)
    try:
        page = shaped(text or "")
        services, notes = _chosen(manifest, path, consumer, processes, page if text is not None else None)
        wrong = findings(page, manifest, services)
        draft = brought(HEAD if text is None else text, services)
    except ValueError as error:
        raise Corrupt(f"{path}: {error}", "docker compose config --quiet shows what is off") from None
    clients = {one.client_file: client_file.client_file(manifest, one.consumer) for one in services if one.client}
    stale = {
        name: why for name, content in clients.items() if (why := client_file.differs(path.parent / name, content))
    }
    differed = {**{service: ", ".join(dict.fromkeys(what)) for service, what in draft.changed.items()}, **stale}
    names = [one.service for one in services]
    if wrong:
        held = answer("compose", path, names, differed, "")
        return Answer(held.data, notes=notes, findings=wrong, judged=True)
    if differed and not check:
        _write(path, draft, {name: clients[name] for name in stale})
    again = f"keyturn render --compose {path}" + (f" --consumer {consumer}" if consumer else "")
    again += f" --processes {processes}" if processes > 1 else ""
    said = answer("compose", path, names, differed, again if check else None)
    return Answer(said.data, said.lines, findings=said.findings, notes=(*notes, *_notes(draft, services)), judged=True)


def _there(path: Path) -> str | None:
    try:
        return read_text(path, MAX_BYTES)
    except NotFound:
        return None


def _chosen(
    manifest: Manifest, path: Path, consumer: str | None, processes: int, page: YamlText | None
) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """Those who live in that file: all that it has a service for, or that it would have if it is a new one."""
    if consumer is not None and consumer not in manifest.consumers:
        raise UsageError(f"the manifest has no consumer {consumer!r:.80}", "keyturn consumer list")
    found, notes, apart = [], [], []
    for name in manifest.consumers if consumer is None else (consumer,):
        if client_file.from_agent(manifest.consumers[name]):
            apart.append(name)
            continue
        one = wanted(manifest, name, path, processes)
        if one is None:
            notes += [] if consumer is None else [name]
        elif consumer is None and page is not None and page.at("services", one.service) is None:
            notes.append(f"{name}: no service {one.service} in it; --consumer {name} adds one")
        elif consumer is not None or page is not None or one.rolls:
            found.append(one)
    if apart and not found:
        raise UsageError(f"{apart[0]} is {FROM_AGENT}", BY_HAND)
    if not found:
        raise UsageError(
            f"no consumer of the manifest lives in {path}", "a service has the name of its consumer, and a bundle_dir"
        )
    return tuple(found), (*notes, *(f"{name}: {FROM_AGENT}: {BY_HAND}" for name in apart))


def _notes(draft: Draft, services: tuple[Wanted, ...]) -> tuple[str, ...]:
    """What the file does not say, and should."""
    without = [one.service for one in services if draft.page.at("services", one.service, "healthcheck") is None]
    end = "an update goes on before the new one takes requests, unless the image has one"
    return tuple(f"{service}: no healthcheck: {end}" for service in without)


def _write(path: Path, draft: Draft, clients: dict[str, bytes]) -> None:
    """What it names is there before the file itself."""
    for name, content in clients.items():
        client_file.put(path.parent / name, content)
    with Directory(path.parent, follow=True) as folder:
        mode = path.stat().st_mode & 0o777 if path.exists() else MODE
        folder.write(path.name, draft.page.text.encode(), mode=mode)
