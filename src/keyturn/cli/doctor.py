"""`keyturn doctor`: is everything as a rotation needs it."""

from dataclasses import asdict

import typer

from keyturn.checks import (
    agent,
    checkpoints,
    clock,
    consumers,
    containers,
    declared,
    journal,
    places,
    plain,
    protection,
    proxies,
    rights,
    rotations,
    slots,
    stores,
    targets,
    versions,
)
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.gather import Facts, gather
from keyturn.cli.opening import opened
from keyturn.core.errors import Disabled
from keyturn.core.finding import Finding


def command(context: typer.Context, *, as_json: Json = False) -> None:
    """Is everything as a rotation needs it; exits 1 if not.

    Looks at files, journal, vaults, stores, targets and consumers, asks for every right that a
    rotation will use, and changes nothing. What could not be looked at is UNKNOWN, and counts as
    off. docs/findings.md describes every reason code.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            facts = gather(assembly)
        found = judged(facts)
        failing = sum(one.fails for one in found)
        looked = f"{len(facts.places)} places, {len(facts.stores)} stores, {len(facts.targets)} targets, "
        looked += f"{len(facts.consumers)} uses by consumers, journal {facts.chains.verdict or 'not read'}"
        line = f"looked at {looked}: {failing} findings fail" if failing else f"looked at {looked}: all as it should be"
        data = {
            "journal": facts.chains.verdict or None,
            "failing": failing,
            "asked": facts.asked and asdict(facts.asked),
        }
        return Answer(data, (line, *_asked(facts)), findings=found, judged=True)

    answering("doctor", as_json, work)


def _asked(facts: Facts) -> tuple[str, ...]:
    if facts.asked is None:
        return ()
    return (f"asked {facts.asked.requests} requests for {facts.asked.secrets} secrets",)


def _held(look: versions.Holding) -> tuple[Finding, ...]:
    """One secret in its store, whatever its kind."""
    if look.failure is not None and not isinstance(look.failure, Disabled):
        return stores.findings(stores.StoreLook(look.secret, look.failure))
    if look.failure is not None or look.decided is None:
        return versions.findings(look)
    return () if look.moving else targets.store_findings(look.secret, look.decided, look.stored)


def judged(facts: Facts) -> tuple[Finding, ...]:
    """All findings, in the order in which one would mend them."""
    return (
        *places.findings(facts.places),
        *places.space_findings(facts.spaces),
        *places.key_findings(facts.key),
        *plain.findings(facts.plain),
        *slots.findings(facts.ways),
        *journal.findings(facts.chains),
        *(checkpoints.home_findings(facts.home) if facts.home else ()),
        *clock.findings(facts.clock_step),
        *(finding for look in facts.stores for finding in stores.findings(look)),
        *(finding for look in facts.protections for finding in protection.findings(look)),
        *(finding for look in facts.holdings for finding in _held(look)),
        *(finding for look in facts.targets for finding in targets.findings(look)),
        *(finding for look in facts.agreements for finding in targets.target_findings(look)),
        *(finding for look in facts.rights for finding in rights.findings(look)),
        *(agent.findings(facts.agent) if facts.agent else ()),
        *(finding for look in facts.consumers for finding in consumers.findings(look)),
        *(finding for look in facts.containers for finding in containers.findings(look)),
        *(finding for look in facts.proxies for finding in proxies.findings(look)),
        *(finding for look in facts.standings for finding in rotations.findings(look)),
        *declared.findings(facts.missing),
    )
