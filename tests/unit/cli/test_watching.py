"""When a program is started anew, with the clock in the hand; and what is said of a source that cannot be used."""

from pathlib import Path

import pytest

from keyturn.cli.watching import AT_LATEST, CALM, LONGEST_PAUSE, SETTLED, Found, Restarts
from keyturn.client.environment import variables
from keyturn.client.sources import Generation
from keyturn.client.sources.bundle_dir import BundleDirectory
from keyturn.core.secret import SecretValue
from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.client.test_run import Night
from tests.unit.client.vault_place import VaultPlace

FIRST_PAUSE = 1.0


def values(text: str) -> dict[str, SecretValue]:
    """The one variable with that value."""
    return {"TOKEN": SecretValue(text)}


def test_equal_values_are_no_change() -> None:
    """However often they are delivered; and a change that is taken back is none either."""
    restarts = Restarts(values("a"), 0.0)
    assert not restarts.due(values("a"), 100.0)
    assert not restarts.due(values("b"), 100.1)
    assert not restarts.due(values("a"), 100.2)
    assert not restarts.due(values("b"), 100.2 + SETTLED)


def test_a_change_is_waited_out() -> None:
    """Another one within a second begins the wait anew."""
    restarts = Restarts(values("a"), 0.0)
    assert not restarts.due(values("b"), 10.0)
    assert not restarts.due(values("c"), 10.9)
    assert not restarts.due(values("c"), 11.5)
    assert restarts.due(values("c"), 10.9 + SETTLED)


def test_changes_without_end_do_not_put_it_off_for_ever() -> None:
    """The first one is that long ago at most."""
    restarts = Restarts(values("0"), 0.0)
    seen = [restarts.due(values(str(n)), 100.0 + n / 2) for n in range(1, 12)]
    assert seen.index(True) == AT_LATEST * 2


def test_restarts_that_follow_each_other_come_less_and_less_often() -> None:
    """The pause doubles up to a limit; after a calm time it is the first one again."""

    def pause(restarts: Restarts, name: int, began: float) -> float:
        at = began
        while not restarts.due(values(str(name)), at):
            at += 0.25
        restarts.started(at)
        return at - began

    restarts, at, pauses = Restarts(values("0"), 0.0), 0.0, []
    for name in range(1, 7):
        pauses.append(pause(restarts, name, at))
        at += pauses[-1]
    assert pauses == [FIRST_PAUSE, 2.0, 4.0, 8.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert pause(restarts, 7, at + CALM) == SETTLED
    assert pause(restarts, 8, at + CALM + SETTLED) == FIRST_PAUSE


def test_what_cannot_be_used_changes_nothing_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle that went away, a name that is missing in a new one; what comes back is taken."""
    night = Night(tmp_path)
    bundle = tmp_path / "run" / "bundle"
    source = BundleDirectory({"kind": "bundle-dir", "path": str(bundle)}, ("database", "api-key"))

    def read(generation: Generation) -> dict[str, SecretValue]:
        return dict(variables(generation.views, {}))

    first = source.changed()
    assert first is not None
    found = Found(source, read, read(first))
    bundle.rename(tmp_path / "away")
    assert [found.values()["DATABASE_URL"] for _ in range(3)] == [SecretValue("postgresql://v1")] * 3
    said = capsys.readouterr().err
    assert said.count("goes on with what it has") == 1
    (tmp_path / "away").rename(bundle)
    night.deliver("v2")
    assert found.values()["DATABASE_URL"] == SecretValue("postgresql://v2")
    assert "v2" not in said + capsys.readouterr().err


def test_a_vault_is_asked_as_often_as_its_source_says(tmp_path: Path) -> None:
    """However often the program is looked at: a request in each turn would use up what the vault allows to all."""
    with KeyVaultServer() as server:
        place = VaultPlace(server, tmp_path).filled()
        try:
            source, clock = place.source(every="10s"), [100.0]
            first = source.changed()
            assert first is not None

            def read(generation: Generation) -> dict[str, SecretValue]:
                return dict(variables(generation.views, {}))

            found = Found(source, read, read(first), lambda: clock[0])
            server.requests.clear()
            for _ in range(39):
                clock[0] += 0.25
                assert found.values()["DATABASE_URL"] == SecretValue("postgresql://v1")
            assert place.asked() == []
            place.deliver("v2")
            clock[0] += 0.25
            assert found.values()["DATABASE_URL"] == SecretValue("postgresql://v2")
        finally:
            place.close()
