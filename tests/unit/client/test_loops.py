"""Trials in a loop of their own, and errands in somebody else's."""

import asyncio
import threading

import pytest

from keyturn.client.adapters.loops import Errand, aside
from keyturn.core.errors import Unavailable


def test_a_trial_that_does_not_end_could_not_be_made() -> None:
    """It is no verdict on what was tried."""

    async def trial() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Unavailable, match="did not end in time"):
        aside(trial, seconds=0.01)


def test_what_a_trial_raises_comes_out_of_it() -> None:
    """An error of the application's own check is the verdict."""

    async def trial() -> None:
        raise LookupError("no such table")

    with pytest.raises(LookupError, match="no such table"):
        aside(trial)


def test_a_trial_runs_beside_the_loop_of_another_thread() -> None:
    """A loop that is running and busy is not needed."""
    found: list[bool] = []

    async def trial() -> None:
        found.append(True)

    async def busy() -> None:
        thread = threading.Thread(target=aside, args=(trial,))
        thread.start()
        thread.join()  # this blocks the loop

    asyncio.run(busy())
    assert found == [True]


def test_an_errand_is_done_once_however_often_a_busy_loop_is_asked() -> None:
    """Asked three times before it came to it, and once more afterwards."""
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))

    async def serve() -> None:
        errand, loop = Errand(work), asyncio.get_running_loop()
        for _ in range(3):
            errand.begin(loop)
        while not done:  # noqa: ASYNC110 - the loop has to turn for it
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == [0]
        errand.begin(loop)
        while len(done) < 2:  # noqa: ASYNC110 - the loop has to turn for it
            await asyncio.sleep(0)

    asyncio.run(serve())
    assert done == [0, 1]


def test_an_errand_in_a_loop_that_is_closed_is_nothing() -> None:
    """Nobody waits for it, and another loop can still be asked."""
    done: list[bool] = []

    async def work() -> None:
        done.append(True)

    errand = Errand(work)
    closed = asyncio.new_event_loop()
    errand.begin(closed)
    closed.close()
    errand.begin(closed)
    assert done == []

    async def serve() -> None:
        errand.begin(asyncio.get_running_loop())
        while not done:  # noqa: ASYNC110 - the loop has to turn for it
            await asyncio.sleep(0)

    asyncio.run(serve())
    assert done == [True]


def test_an_errand_that_fails_is_said_by_the_name_of_its_error(caplog: pytest.LogCaptureFixture) -> None:
    """Its words could hold a value."""
    done: list[bool] = []

    async def work() -> None:
        done.append(True)
        raise ConnectionError("postgresql://app:hunter2@db")

    async def serve() -> None:
        Errand(work).begin(asyncio.get_running_loop())
        while not done:  # noqa: ASYNC110 - the loop has to turn for it
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(serve())
    assert "ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text
