"""A request to stop lets the step under way be finished, and waits where it must."""

import os
import signal
import threading

import pytest

from keyturn.system.signals import STOP, StopRequest, held


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_a_request_and_the_second_has_its_ordinary_effect(number: signal.Signals) -> None:
    """After the first one the flag is up and the former handlers are back."""
    former = signal.getsignal(number)
    with StopRequest() as stopping:
        assert not stopping()
        os.kill(os.getpid(), number)
        assert stopping()
        assert signal.getsignal(number) is former
    assert signal.getsignal(number) is former


def test_handlers_are_put_back_when_nobody_asked() -> None:
    """Outside the block every signal has the handler that it had."""
    former = [signal.getsignal(number) for number in STOP]
    with StopRequest():
        assert [signal.getsignal(number) for number in STOP] != former
    assert [signal.getsignal(number) for number in STOP] == former


def test_an_ignored_signal_stays_ignored() -> None:
    """Under nohup SIGHUP stops nothing."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping()
    finally:
        signal.signal(signal.SIGHUP, former)


def test_signals_wait_until_they_are_released() -> None:
    """Both come at `release`, and the handlers are those of before."""
    come: list[int] = []
    former = {number: signal.signal(number, lambda which, _: come.append(which)) for number in STOP}
    mine = [signal.getsignal(number) for number in STOP]
    try:
        with held() as release:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert come == []
            release()
            assert sorted(come) == [signal.SIGINT, signal.SIGTERM]
        assert [signal.getsignal(number) for number in STOP] == mine
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_a_signal_that_waited_comes_at_the_end_of_the_block_at_the_latest() -> None:
    """An error inside the block does not swallow Ctrl-C."""

    def fail() -> None:
        with held():
            os.kill(os.getpid(), signal.SIGINT)
            raise OSError

    with pytest.raises(KeyboardInterrupt):
        fail()


def test_outside_the_main_thread_nothing_waits() -> None:
    """A thread that holds signals neither fails nor changes a handler."""
    seen: list[object] = []

    def hold() -> None:
        with held() as release:
            seen.extend(signal.getsignal(number) for number in STOP)
            release()

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(number) for number in STOP]
