"""A first version that Keyturn makes by itself comes to one end, wherever it is cut off."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, OutcomeUnknown, Refused, Unavailable
from keyturn.core.secret import Bundle
from keyturn.core.version import VersionState
from keyturn.rotation.bringing import Brought, Landed, bring
from keyturn.rotation.intake import Place
from keyturn.rotation.minting import make_first
from keyturn.testing.bench import Bench

NAME = "app-key"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Journal, store and escrow, without a rotation."""
    return Bench(tmp_path)


@pytest.fixture
def numbers() -> Iterator[int]:
    """Each content is another one."""
    return iter(count(1))


def make(bench: Bench, numbers: Iterator[int]) -> Landed:
    """One call of the command."""
    place = Place(NAME, bench.store, NAME)
    return make_first(
        bench.journal, bench.escrow, place, lambda: Bundle({"value": f"key {next(numbers)}"}), bench.folder
    )


def current(bench: Bench) -> list[str]:
    """The versions that are current in the store."""
    return [one.id for one in bench.store.versions(NAME) if one.state is VersionState.CURRENT]


def promoted(bench: Bench) -> list[str]:
    """What the journal says was made current."""
    return [one.data["version"] for one in bench.journal.read(NAME) if one.kind == "version.promoted"]


def test_a_first_version_is_made_once(bench: Bench, numbers: Iterator[int]) -> None:
    """The second call finds it and makes nothing."""
    first, second = make(bench, numbers), make(bench, numbers)
    assert not first.there
    assert second.there
    assert current(bench) == [first.version] == [second.version]
    assert promoted(bench) == [first.version]
    assert next(numbers) == 2


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["stage", "promote"])
def test_a_call_that_was_cut_off_ends_with_one_version_when_it_is_repeated(
    bench: Bench, numbers: Iterator[int], method: str, *, after: bool
) -> None:
    """Before the write or after it: one version is current, and the journal names that one."""
    error: AdapterError = OutcomeUnknown("no reply") if after else Unavailable("away")
    bench.store.fail(method, error, after=after)
    with suppress(AdapterError):
        make(bench, numbers)
    landed = make(bench, numbers)
    assert current(bench) == [landed.version]
    assert promoted(bench) == [landed.version]


def test_a_value_that_somebody_else_wrote_is_not_taken_for_our_own(bench: Bench, numbers: Iterator[int]) -> None:
    """Nothing is written, and nothing is made."""
    bench.store.stage(NAME, Bundle({"value": "foreign"}), "stranger")
    foreign = bench.store.promote(NAME, "stranger", None)
    with pytest.raises(Refused, match="did not write"):
        make(bench, numbers)
    assert current(bench) == [foreign]
    assert not bench.journal.read(NAME)
    assert next(numbers) == 1


def test_what_a_person_brought_and_what_was_cut_off_is_not_given_up_for_a_new_one(
    bench: Bench, numbers: Iterator[int]
) -> None:
    """Nothing is announced or written; brought to its end, it is the first version, and that one is found."""
    imported = Brought(Place(NAME, bench.store, NAME), Bundle({"value": "the one in use"}), "import")
    bench.store.fail("stage", Unavailable("away"))
    assert bring(bench.journal, bench.escrow, [imported], bench.folder).left == (NAME,)
    written = len(bench.journal.read(NAME))
    with pytest.raises(Refused, match="an import of app-key was cut off") as caught:
        make(bench, numbers)
    assert caught.value.remedy == "keyturn resume app-key brings it to its end"
    assert (current(bench), len(bench.journal.read(NAME))) == ([], written)
    (landed,) = bring(bench.journal, bench.escrow, [imported], bench.folder).landed
    assert make(bench, numbers).version == landed.version
    assert bench.store.read(NAME, landed.version)["value"] == imported.bundle["value"]


def test_a_person_may_bring_the_one_in_use_after_a_new_one_was_cut_off(bench: Bench, numbers: Iterator[int]) -> None:
    """What Keyturn made gives way to it, and is forgotten."""
    bench.store.fail("stage", Unavailable("away"))
    with suppress(AdapterError):
        make(bench, numbers)
    imported = Brought(Place(NAME, bench.store, NAME), Bundle({"value": "the one in use"}), "import")
    (landed,) = bring(bench.journal, bench.escrow, [imported], bench.folder).landed
    assert current(bench) == [landed.version]
    assert bench.store.read(NAME, landed.version)["value"] == imported.bundle["value"]
