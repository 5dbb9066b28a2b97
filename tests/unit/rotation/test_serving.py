"""Bringing a version to those who use it where no rotation does."""

from pathlib import Path

import pytest

from keyturn.core.consumer import Consumer, Delivery
from keyturn.core.derived import Derived, Form
from keyturn.core.errors import FenceLost, Refused, Unavailable
from keyturn.core.secret import Bundle, SecretValue
from keyturn.rotation.intake import Place, take_in
from keyturn.rotation.serving import Served, serve
from keyturn.system.locks import FileLock
from keyturn.testing.bench import Bench
from keyturn.testing.copying_store import CopyingStore, Written
from keyturn.testing.fake_consumer import FakeConsumer

NAME = "smtp"
LOGIN = Derived("smtp-login", "SMTP-LOGIN", Form.SECRET, NAME)
OTHER = Derived("smtp-other", "SMTP-OTHER", Form.SECRET, NAME)


class Full(FakeConsumer):
    """A consumer that takes nothing: its disk is full."""

    def deliver(self, delivery: Delivery) -> None:
        """Refuse it."""
        raise Unavailable(f"no room for {delivery.secret}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Journal and store, without a rotation."""
    return Bench(tmp_path)


def served(bench: Bench, *consumers: Consumer) -> Served:
    """The secret with those who use it."""
    return Served(NAME, NAME, bench.store, consumers, lambda _: {}, bench.folder / f"{NAME}.lock")


def bring(bench: Bench, value: str) -> str:
    """A person brings a version."""
    bundle = Bundle({"value": value})
    return take_in(
        bench.journal, Place(NAME, bench.store, NAME), bundle, "prompt", bench.folder / f"{NAME}.lock"
    ).version


def test_a_version_that_was_brought_is_delivered_once(bench: Bench) -> None:
    """The second look finds it there, and writes nothing."""
    version, user = bring(bench, "one"), FakeConsumer("api", [])
    first = serve(bench.journal, served(bench, user))
    written = len(bench.journal.read(NAME))
    second = serve(bench.journal, served(bench, user))
    assert user.delivered(NAME) == version
    assert first.repaired == (f"version {version} was delivered to api",)
    assert second.repaired == ()
    assert len(bench.journal.read(NAME)) == written


def test_a_delivery_is_announced_before_it_is_made(bench: Bench) -> None:
    """A consumer that took nothing left the announcement in the journal all the same."""
    bring(bench, "one")
    with pytest.raises(Unavailable):
        serve(bench.journal, served(bench, Full("api", [])))
    assert bench.journal.read(NAME)[-1].data == {"what": "reconcile", "where": "consumer", "subject": "api"}


def test_a_later_version_replaces_what_lies_there_and_a_lost_one_comes_back(bench: Bench) -> None:
    """After a reboot took it from a tmpfs it is delivered again, under a higher fence."""
    first, user = bring(bench, "one"), FakeConsumer("api", [])
    serve(bench.journal, served(bench, user))
    second = bring(bench, "two")
    assert serve(bench.journal, served(bench, user)).repaired[0].endswith(f"where {first} lay")
    user.lose()
    serve(bench.journal, served(bench, user))
    assert user.delivered(NAME) == second


def test_a_value_that_somebody_else_wrote_is_not_delivered(bench: Bench) -> None:
    """The store's current version is not the one that the journal decided: nothing moves, and both are named."""
    decided, user = bring(bench, "one"), FakeConsumer("api", [])
    bench.store.stage(NAME, Bundle({"value": "foreign"}), "stranger")
    foreign = bench.store.promote(NAME, "stranger", decided)
    agreed = serve(bench.journal, served(bench, user))
    assert (agreed.decided, agreed.stored, agreed.repaired) == (decided, foreign, ())
    assert user.delivered(NAME) is None


def test_a_look_at_the_whole_store_spares_the_question_and_is_believed_only_when_it_agrees(bench: Bench) -> None:
    """As decided, the store is not asked again; anything else is asked for by itself, under the lock."""
    decided = bring(bench, "one")
    bench.store.fail("current", Unavailable("asked"))
    assert serve(bench.journal, served(bench), decided).stored == decided
    with pytest.raises(Unavailable):
        serve(bench.journal, served(bench), "older")
    assert serve(bench.journal, served(bench), "older").stored == decided


def test_nothing_is_delivered_before_the_first_version(bench: Bench) -> None:
    """There is nothing to decide and nothing to store."""
    agreed = serve(bench.journal, served(bench, FakeConsumer("api", [])))
    assert (agreed.decided, agreed.stored) == (None, None)


def test_one_consumer_that_takes_nothing_does_not_keep_the_others_waiting(bench: Bench) -> None:
    """The others get it first, then the failure is told."""
    version, user = bring(bench, "one"), FakeConsumer("web", [])
    with pytest.raises(Unavailable):
        serve(bench.journal, served(bench, Full("api", []), user))
    assert user.delivered(NAME) == version


def test_a_later_delivery_of_another_worker_stays(bench: Bench) -> None:
    """The fence is the number of our record: what came later is not overwritten."""
    bring(bench, "one")
    user = FakeConsumer("api", [])
    user.deliver(Delivery(NAME, "newer", Bundle({"value": "newer"}), fence=1_000))
    with pytest.raises(FenceLost):
        serve(bench.journal, served(bench, user))
    assert user.delivered(NAME) == "newer"


def test_a_secret_that_somebody_works_on_is_left_alone(bench: Bench) -> None:
    """The lock of the secret is the same that `set` and a rotation take."""
    bring(bench, "one")
    with FileLock(bench.folder / f"{NAME}.lock"), pytest.raises(Refused):
        serve(bench.journal, served(bench, FakeConsumer("api", [])))


def publish(bundle: Bundle) -> dict[str, SecretValue]:
    """Two views."""
    return {LOGIN.view: bundle["value"], OTHER.view: bundle["value"]}


def copied(bench: Bench, *consumers: Consumer) -> tuple[CopyingStore, Served]:
    """The secret in a store that carries two copies of it."""
    store = CopyingStore()
    bench.store = store
    lock = bench.folder / f"{NAME}.lock"
    return store, Served(NAME, NAME, store, consumers, publish, lock, (LOGIN, OTHER))


def test_copies_that_were_left_behind_are_put_right_once(bench: Bench) -> None:
    """Whoever brought the version was cut off before they were written; the second look writes nothing."""
    store, place = copied(bench)
    first = bring(bench, "one")
    assert [line.split()[-4:] for line in serve(bench.journal, place).repaired] == [["now", "it", "shows", first]] * 2
    second = bring(bench, "two")
    agreed = serve(bench.journal, place)
    assert all(f"showed {first}, now it shows {second}" in line for line in agreed.repaired)
    assert [store.shows(LOGIN), store.shows(OTHER)] == [second, second]
    said = {record.data["subject"] for record in bench.journal.read(NAME) if record.kind == "observation.made"}
    assert said == {"copy:smtp-login", "copy:smtp-other"}
    written = len(bench.journal.read(NAME))
    assert (serve(bench.journal, place).repaired, len(bench.journal.read(NAME))) == ((), written)


def test_a_copy_that_somebody_else_wrote_is_told_and_the_other_one_put_right(bench: Bench) -> None:
    """His stays as it is."""
    store, place = copied(bench)
    version = bring(bench, "one")
    store.written[LOGIN.form, LOGIN.entry.casefold()] = [Written("his", SecretValue("his own"))]
    agreed = serve(bench.journal, place)
    assert list(agreed.copies) == [LOGIN.view]
    assert store.shows(LOGIN) == agreed.copies[LOGIN.view]
    assert store.shows(OTHER) == version


def test_a_copy_that_cannot_be_written_keeps_nobody_from_the_version(bench: Bench) -> None:
    """The consumers have it before the failure is told."""
    user = FakeConsumer("api", [])
    store, place = copied(bench, user)
    version = bring(bench, "one")
    store.fail("derive", Unavailable("away"))
    with pytest.raises(Unavailable):
        serve(bench.journal, place)
    assert user.delivered(NAME) == version
