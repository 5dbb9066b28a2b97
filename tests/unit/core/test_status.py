"""The status file: what an application wrote is read, what a stranger made up is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.consumer import Rejection
from keyturn.core.status import MAX_REASON, Proof, SecretStatus, Status
from tests.unit.core.test_generation import changed

PROOF = Proof("v1", "in-use", "ab" * 32, "cd" * 32)
SECRET = SecretStatus("v2", "v1", Rejection("v2", "Denied"), (PROOF,))
STATUS = Status(
    instance="host-7-99",
    host="host",
    pid=7,
    start="99",
    boot="boot",
    namespace="pid:[1]",
    heartbeat="2026-01-01T00:00:00.000Z",
    interval_ms=2000,
    drained=False,
    secrets={"database": SECRET, "redis": SecretStatus(None, None, None, ())},
)


def test_what_was_written_is_read() -> None:
    """With and without versions, rejection and proofs."""
    assert Status.parse(STATUS.dump()) == STATUS
    assert STATUS.seen().year == 2026


@pytest.mark.parametrize(("path", "value"), [
    (("schema",), "keyturn/status/2"),
    (("instance",), "other-7-99"),
    (("host",), "../host"),
    (("pid",), 0),
    (("pid",), "7"),
    (("heartbeat",), "yesterday"),
    (("heartbeat",), "2026-01-01T00:00:00"),
    (("heartbeat",), "0001-01-01T00:00:00+01:00"),
    (("interval_ms",), 99),
    (("interval_ms",), 10_001),
    (("drained",), 0),
    (("secrets", "no name"), {"newest": None, "oldest": None, "rejected": None, "proofs": []}),
    (("secrets", "database", "newest"), ""),
    (("secrets", "database", "oldest"), "é"),
    (("secrets", "database", "rejected"), {"version": "v2"}),
    (("secrets", "database", "rejected"), {"version": "v2", "reason": "x" * (MAX_REASON + 1)}),
    (("secrets", "database", "rejected"), {"version": "v2", "reason": "\x1b[2J"}),
    (("secrets", "database", "proofs"), [{}]),
    (("secrets", "database", "proofs"), [{"version": "v", "state": "dead", "nonce": "ab" * 32, "proof": "cd" * 32}]),
    (("secrets", "database", "proofs"), [{"version": "v", "state": "loaded", "nonce": "ab" * 32, "proof": "cd"}]),
    (("secrets", "database", "proofs"), [{"version": "v", "state": "loaded", "nonce": "ab" * 32, "proof": "zz" * 32}]),
    (("more",), 1),
])  # fmt: skip
def test_anything_else_is_refused(path: tuple[str, ...], value: object) -> None:
    """Unknown keys, wrong types, ids that do not fit together, text that a terminal would obey."""
    with pytest.raises(ValueError, match=r"."):
        Status.parse(changed(STATUS.dump(), path, value))


def test_an_instance_that_is_not_printable_is_refused() -> None:
    """Its id is printed and is a file name."""
    text = changed(changed(STATUS.dump(), ("host",), "\x1b"), ("instance",), "\x1b-7-99")
    with pytest.raises(ValueError, match="instance"):
        Status.parse(text)


@given(st.binary(max_size=300) | st.text(alphabet='{}[]":,0a\\', max_size=60).map(str.encode))
def test_noise_is_a_value_error_and_nothing_else(text: bytes) -> None:
    """No input makes the reader fail in another way."""
    with pytest.raises(ValueError, match=r"."):
        Status.parse(text)
