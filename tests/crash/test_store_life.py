"""The laws over the list of requests, with the store alone: no kills, and the same bad day."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from keyturn.core.errors import OutcomeUnknown, Unavailable
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.installation import SECRET_NAME
from tests.crash.access import Access, Laws
from tests.crash.vault import Double, Weather
from tests.unit.stores.azure_key_vault.places import bundle, requests_to

VERSIONS = 3
TRIES = 30
SECONDS = 0.5
"""For one request: on a bad day some are never answered."""

_T = TypeVar("_T")


def again(double: Double, call: Callable[[AzureKeyVault], _T], times: int = 2) -> _T:
    """What the engine does with a fault that passes, and after a kill: the same call by a fresh handle."""
    answers: list[_T] = []
    for _ in range(TRIES):
        store = AzureKeyVault(requests_to(double, timeout=SECONDS), looks=(0.0,), pause=lambda _: None)
        with suppress(Unavailable, OutcomeUnknown):
            answers.append(call(store))
        if len(answers) == times:
            return answers[-1]
    raise AssertionError("it does not end")


@pytest.mark.parametrize("seed", [1, 4, 5, 9])
def test_each_law_holds_over_a_life_on_a_bad_day(seed: int, tmp_path: Path) -> None:
    """Staged, read back, promoted, each of it twice, and retired, while requests fail: the vault's list is clean."""
    log, former = tmp_path / "requests.jsonl", None
    with Double(seed=seed).watch(Weather(seed), log) as double:
        for number in range(VERSIONS):
            attempt, content, expected = f"attempt-{number}", bundle(str(number)), former
            again(double, lambda store: store.stage(SECRET_NAME, content, attempt))  # noqa: B023 - called at once
            assert again(double, lambda store: store.read(SECRET_NAME, attempt)) == content  # noqa: B023 - called at once
            again(double, lambda store: store.promote(SECRET_NAME, attempt, expected))  # noqa: B023 - called at once
            if former is not None:
                # once only: a second call would make up for what the first one left
                again(double, lambda store: store.retire(SECRET_NAME, str(expected)), 1)  # noqa: B023 - called at once
            former = attempt
    accesses, laws = Access.read(log), Laws(SECRET_NAME)
    assert list(laws.broken(accesses)) == []
    assert list(laws.left_on(str(former))) == []
    assert laws.promoted == [f"attempt-{number}" for number in range(VERSIONS)]
    assert {"PUT", "PATCH"} & {access.method for access in accesses if access.fault == "lost answer"}
