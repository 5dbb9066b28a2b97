"""What the servers of one cluster say together of one credential."""

from collections.abc import Callable, Sequence

from keyturn.core.rotator import Answer, Probe
from keyturn.system.postgres import Server

ROUNDS = 3
"""How often in a row every server of a replicated target has to say the same.

A name may lead to another server at each log-in, and a standby may have replayed one change and not
the next: one round shows less than it seems.
"""


def unanimous(servers: Sequence[Server], log_in: Callable[[Server], Probe]) -> Probe:
    """One log-in at a single server; `ROUNDS` of them at each of several, until two differ.

    ACCEPTED or REFUSED only when all say so, each time. Where some accept what others refuse, a standby
    lags (or the cluster is split): that proves nothing yet and is UNREACHABLE, so that whoever asked
    waits and asks again.
    """
    before: list[Probe] = []
    for _ in range(ROUNDS if len(servers) > 1 else 1):
        said = [log_in(server) for server in servers]
        if len({probe.answer for probe in (*before, *said)}) > 1:
            return _divided([*before, *said])
        before = said
    return Probe(before[0].answer, "; ".join(probe.detail for probe in before))


def _divided(said: Sequence[Probe]) -> Probe:
    answers = {probe.answer for probe in said}
    detail = "; ".join(f"{probe.answer}: {probe.detail}" for probe in said)
    if answers >= {Answer.ACCEPTED, Answer.REFUSED}:
        return Probe(Answer.UNREACHABLE, f"the hosts do not agree, a standby may lag: {detail}")
    return Probe(Answer.UNREACHABLE if Answer.UNREACHABLE in answers else Answer.UNUSABLE, detail)
