"""What an engine says of containers is read strictly: half an answer is none."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from keyturn.consumers.rolling.asking import Asking
from keyturn.consumers.rolling.containers import Containers
from keyturn.core.errors import Unavailable

FIRST, SECOND = "a" * 64, "b" * 64


def described(number: str, **other: object) -> str:
    """One line of the engine about a container."""
    said: Mapping[str, object] = {
        "id": number,
        "name": f"/{number[:1]}",
        "host": number[:12],
        "status": "running",
        "started": "2026-01-01T00:00:00Z",
        "pid": 41,
        "health": None,
    }
    return json.dumps({**said, **other})


def containers(home: Path, *lines: str) -> Containers:
    """Two containers by their ids, of an engine that describes them so."""
    (home / "said").write_text("".join(f"{line}\n" for line in lines))
    engine = home / "docker"
    engine.write_text(f"#!/bin/sh\n[ $2 = ls ] && echo {FIRST} {SECOND} || cat {home}/said\n")
    engine.chmod(0o700)
    file = home / "compose.yaml"
    file.write_text("name: clo\nservices:\n  api:\n    image: x\n    deploy: {replicas: 2}\n")
    return Containers(asking=Asking((str(engine),), 5.0), file=file, service="api")


def test_each_container_is_one(tmp_path: Path) -> None:
    """Those that were asked for, each with the start that is part of its id."""
    found = containers(tmp_path, described(FIRST), described(SECOND, health="starting")).present()
    assert [(one.name, one.ready) for one in found] == [("a", True), ("b", False)]
    assert found[0].id == f"{FIRST}@2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (described(FIRST),),
        (described(FIRST), described(FIRST)),
        (described(FIRST), described("c" * 64)),
        (described(FIRST), described(SECOND), described("c" * 64)),
        (described(FIRST), described(SECOND, pid=None)),
        (described(FIRST), described(SECOND, pid="many")),
        (described(FIRST), described(SECOND, started=None)),
        (described(FIRST), described(SECOND, health=["healthy"])),
        (described(FIRST), "[" * 10_000),
        (described(FIRST), "no JSON"),
    ],
)
def test_half_an_answer_is_none(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """One that is left out, twice there, somebody else's, or no description: nobody is counted by it."""
    with pytest.raises(Unavailable, match="the engine"):
        containers(tmp_path, *lines).present()
