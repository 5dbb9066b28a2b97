"""A request to stop lets the step under way be finished."""

import os
import signal

import pytest

from keyturn.system.signals import STOP, StopRequest


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
