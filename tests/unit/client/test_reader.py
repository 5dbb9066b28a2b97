"""`Secrets`: handles that follow, reads that never mix, staleness that shows, one instance per process."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from keyturn.client import Secrets, View
from keyturn.core.consumer import Delivery, Grade
from keyturn.core.errors import Conflict, NotFound, Unavailable, UsageError
from keyturn.core.secret import Bundle
from tests.unit.client.place import Place, consistent, until
from tests.values import reads


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered."""
    return Place(tmp_path)


def test_handles_give_published_names_fields_and_single_values(place: Place) -> None:
    """And say their name, never their value."""
    with place.open() as secrets:
        assert reads(secrets["database-url"], "postgresql://v1")
        assert reads(secrets["database.password"], "password-v1")
        assert reads(secrets["api-key"], "key")
        assert (secrets["api-key"].version, repr(secrets["api-key"])) == ("k1", "Handle(api-key)")


@pytest.mark.parametrize("name", ["nothing", "database", "database.nothing", "nothing.password", ""])
def test_what_is_missing_is_an_exception(place: Place, name: str) -> None:
    """Never None, empty or a default, and what there is is named; a secret of several fields is not one value."""
    with place.open() as secrets, pytest.raises(NotFound) as caught:
        secrets[name]
    assert "database-url" in caught.value.remedy or "database.password" in caught.value.remedy


def test_a_missing_bundle_or_field_is_an_exception(place: Place) -> None:
    """By secret, and by field of a secret."""
    with place.open() as secrets:
        with pytest.raises(NotFound, match="'redis'") as bundle:
            secrets.bundle("redis")
        with pytest.raises(NotFound, match="'host'") as field:
            secrets.bundle("database")["host"]
    assert bundle.value.remedy == "there is database, api-key"
    assert field.value.remedy == "there is database-url, password, username"


def test_a_secret_that_is_not_delivered_fails_the_start(tmp_path: Path) -> None:
    """The application does not come up with half of what it needs."""
    place = Place(tmp_path)
    place.file.write_text(place.file.read_text().replace("api-key", "smtp"))
    with pytest.raises(NotFound, match="'smtp'"):
        place.open()


def test_the_file_is_named_by_argument_variable_or_working_directory(place: Place) -> None:
    """In this order."""
    program = "from keyturn.client import Secrets\nwith Secrets.open() as s: print(s['api-key'].version)"
    for where in ({"cwd": place.file.parent}, {"env": {**os.environ, "KEYTURN_CLIENT": str(place.file)}}):
        done = subprocess.run([sys.executable, "-c", program], **where, capture_output=True, text=True, check=False)
        assert done.stdout == "k1\n", done.stderr


def test_a_kind_of_source_that_does_not_exist_is_named(place: Place) -> None:
    """With the kinds that do."""
    place.file.write_text(place.file.read_text().replace("bundle-dir", "magic"))
    with pytest.raises(UsageError, match="bundle-dir"):
        place.open()


def test_a_handle_follows_a_delivery_by_itself(place: Place) -> None:
    """The thread looks; whoever asked to be told is told, and an error there stops nothing."""
    told: list[str] = []

    def fail(_: str) -> None:
        raise RuntimeError

    with place.open() as secrets:
        handle = secrets["database-url"]
        handle.on_change(fail)
        handle.on_change(told.append)
        place.deliver("v2")
        until(lambda: told == ["v2"])
        assert (handle.version, handle.stale) == ("v2", False)
        assert reads(handle, "postgresql://v2")


def test_refresh_looks_at_once(place: Place) -> None:
    """For the one re-read after a refusal."""
    with place.open() as secrets:
        place.deliver("v2")
        secrets.refresh()
        assert secrets["database-url"].version == "v2"


def test_a_view_stays_one_version(place: Place) -> None:
    """Whatever is delivered while it is kept."""
    with place.open() as secrets:
        view = secrets.bundle("database")
        place.deliver("v2")
        secrets.refresh()
        assert view.version == "v1"
        assert consistent(view)


def test_no_read_is_ever_mixed_or_missing(place: Place) -> None:
    """Against a swapper that never rests, for readers of the client and readers of the directory."""
    ending = threading.Event()
    reads, wrong = [0, 0], []

    def read(secrets: Secrets) -> None:
        while not ending.is_set():
            view = secrets.bundle("database")
            if not consistent(view):
                wrong.append(view.version)
            reads[0] += 1
            ending.wait(0.0005)  # else the readers leave the swapper no turn

    def refresh(secrets: Secrets) -> None:
        while not ending.is_set():
            secrets.refresh()
            reads[1] += 1
            ending.wait(0.0005)

    with place.open() as secrets:
        threads = [threading.Thread(target=work, args=(secrets,)) for work in (read, read, refresh)]
        for thread in threads:
            thread.start()
        number = 0
        while number < 100 or min(reads) < 2000:
            number += 1
            place.deliver(f"n{number}")
        ending.set()
        for thread in threads:
            thread.join()
        secrets.refresh()
        assert secrets["database-url"].version == f"n{number}"
    assert wrong == []


def test_a_failed_look_shows_and_after_max_stale_reads_fail(tmp_path: Path) -> None:
    """Bounded and visible; when the source is back, so are the reads."""
    place = Place(tmp_path, max_stale="300ms")
    with place.open() as secrets:
        handle = secrets["database-url"]
        (place.run / "bundle").rename(place.run / "away")
        until(lambda: handle_fails(secrets))
        with pytest.raises(Unavailable, match=r"0\.3 s"):
            reads(handle, "postgresql://v1")
        with pytest.raises(NotFound):
            secrets.refresh()
        assert handle.stale
        (place.run / "away").rename(place.run / "bundle")
        assert reads(handle, "postgresql://v1")
        assert not handle.stale


@pytest.mark.parametrize("step", [-400 * 86_400, 400 * 86_400])
def test_a_step_of_the_wall_clock_changes_nothing(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does what is fresh fail, nor does what is too old pass, nor does a delivery stay unseen."""
    place, real = Place(tmp_path, max_stale="500ms"), time.clock_gettime

    def stepped(clock: int) -> float:
        return real(clock) + (step if clock == time.CLOCK_REALTIME else 0)

    with place.open() as secrets:
        handle = secrets["database-url"]
        monkeypatch.setattr(time, "time", lambda: stepped(time.CLOCK_REALTIME))
        monkeypatch.setattr(time, "clock_gettime", stepped)
        assert reads(handle, "postgresql://v1")
        place.deliver("v2")
        until(lambda: reads(handle, "postgresql://v2"))
        (place.run / "bundle").rename(place.run / "away")
        until(lambda: handle_fails(secrets))
        (place.run / "away").rename(place.run / "bundle")
        assert reads(handle, "postgresql://v2")


def handle_fails(secrets: Secrets) -> bool:
    """Whether reads fail by now."""
    try:
        secrets.bundle("database")
    except Unavailable:
        return True
    return False


def test_a_bundle_of_another_environment_is_not_taken(place: Place) -> None:
    """Staging's password does not get into production by a swapped directory."""
    with place.open() as secrets:
        index = place.run / "bundle" / "index.json"
        text = index.read_text().replace('"environment":"test"', '"environment":"prod"')
        index.unlink()
        index.write_text(text)
        for _ in range(2):
            with pytest.raises(Conflict, match="prod"):
                secrets.refresh()
            assert secrets["database-url"].stale


def test_a_closed_client_gives_nothing(place: Place) -> None:
    """And closes twice without harm."""
    secrets = place.open()
    handle = secrets["database-url"]
    secrets.close()
    secrets.close()
    with pytest.raises(UsageError, match="closed"):
        reads(handle, "postgresql://v1")
    with pytest.raises(UsageError, match="closed"):
        secrets.refresh()


def test_a_process_reports_at_once_and_proves_what_it_holds(place: Place) -> None:
    """The first observation after open() sees it, also on a new version, also drained."""
    with place.open() as secrets:
        until(lambda: [(i.oldest, i.grade) for i in place.instances()] == [("v1", Grade.HOLDS)])
        place.deliver("v2")
        until(lambda: [(i.newest, i.oldest, i.grade) for i in place.instances()] == [("v2", "v2", Grade.HOLDS)])
        assert secrets["database-url"].version == "v2"
    assert [(i.drained, i.grade) for i in place.instances()] == [(True, Grade.HOLDS)]


def test_a_second_one_in_the_same_process_does_not_open(place: Place) -> None:
    """Its report would take the place of the first one's, which may still use an older version."""
    with place.open() as secrets:
        with pytest.raises(UsageError, match="open already"):
            place.open()
        secrets.refresh()
    with place.open() as again:
        assert again["database-url"].version == "v1"


def test_an_open_that_failed_does_not_stand_in_the_way(place: Place) -> None:
    """The place to report is free again for the next one."""
    away = (place.run / "status").rename(place.run / "away")
    with pytest.raises(NotFound):
        place.open()
    away.rename(place.run / "status")
    place.open().close()


def test_without_a_status_directory_nothing_is_reported(tmp_path: Path) -> None:
    """The client works as well."""
    place = Place(tmp_path, reports=False)
    with place.open() as secrets:
        assert secrets["database-url"].version == "v1"
    assert not (place.run / "status").exists()


def test_a_status_directory_that_is_not_there_fails_the_start(place: Place) -> None:
    """An application that cannot report would hold every rotation: it says so when it starts."""
    (place.run / "status").rmdir()
    with pytest.raises(NotFound, match="status") as caught:
        place.open()
    assert caught.value.remedy.startswith("status_dir is")


class Careful:
    """A holder that refuses until told otherwise, and keeps what it has until told otherwise."""

    def __init__(self) -> None:
        self.refuse = threading.Event()
        self.linger = threading.Event()
        self.versions: list[str] = []

    def begin(self, view: View) -> None:
        """Start with this version."""
        self.versions = [view.version]

    def try_new(self, view: View) -> None:
        """Refuse what is not the first version."""
        if self.refuse.is_set() and view.version not in self.versions:
            raise PermissionError

    def switch(self, view: View) -> None:
        """The last one is current."""
        self.versions.append(view.version)

    def settle(self) -> Collection[str]:
        """All of them, or the last."""
        return self.versions if self.linger.is_set() else self.versions[-1:]


def test_a_holder_decides_when_reads_and_reports_change(place: Place) -> None:
    """While it rejects, reads give the old; once it took, reads give the new, and the report the old until let go."""
    with place.open() as secrets:
        holder = Careful()
        holder.begin(secrets.hold("database-url", holder))
        holder.refuse.set()
        place.deliver("v2")
        until(lambda: [i.rejection.reason for i in place.instances() if i.rejection] == ["PermissionError"])
        assert (secrets["database-url"].version, secrets["database-url"].stale) == ("v1", True)
        holder.linger.set()
        holder.refuse.clear()
        until(lambda: secrets["database-url"].version == "v2")
        until(lambda: [(i.newest, i.oldest, i.rejection) for i in place.instances()] == [("v2", "v1", None)])
        holder.linger.clear()
        until(lambda: [(i.newest, i.oldest) for i in place.instances()] == [("v2", "v2")])
        secrets.release("database", holder)


FORKING = """
import os, sys, threading
from keyturn.client import Secrets
secrets = Secrets.open(sys.argv[1])
child = os.fork()
if child == 0:
    assert threading.active_count() == 4, threading.enumerate()
    print("forked", secrets["database-url"].version, flush=True)
else:
    print("parent", child, flush=True)
sys.stdin.readline()
if child == 0:
    print("child", secrets["database-url"].version, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("parent", secrets["database-url"].version, flush=True)
"""


def test_a_forked_process_is_an_instance_of_its_own_and_follows(place: Place) -> None:
    """Both report under their own pid, and both learn of a delivery made after the fork."""
    command = [sys.executable, "-c", FORKING, str(place.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = sorted(process.stdout.readline().split() for _ in range(2))
        pids = {int(said[1][1]), process.pid}
        until(lambda: {int(i.id.split("-")[-2]) for i in place.instances()} == pids)
        place.deliver("v2")
        until(lambda: [(i.oldest, i.grade) for i in place.instances()] == [("v2", Grade.HOLDS)] * 2)
        out, _ = process.communicate("\n\n")
    assert sorted(out.split()) == ["child", "parent", "v2", "v2"]


STEPPED = """
import os, sys, time
from keyturn.client import Secrets
real, step = time.time, 0.0
time.time = lambda: real() + step
time.clock_gettime, clock = lambda which: clock(which) + step * (which == time.CLOCK_REALTIME), time.clock_gettime
with Secrets.open(sys.argv[1]) as secrets:
    handle = secrets["database-url"]
    os.rename(sys.argv[2], sys.argv[2] + ".away")
    for step in (86400.0, -86400.0):
        secrets.bundle("database")
        print(handle.version, handle.reveal() == "postgresql://v1")
"""


def test_a_step_of_the_wall_clock_makes_nothing_old(place: Place) -> None:
    """A day ahead and a day back, while nothing can be read: what was read a moment ago is as good as it was."""
    command = [sys.executable, "-c", STEPPED, str(place.file), str(place.run / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["v1 True"] * 2


def test_a_process_that_just_ends_has_drained(place: Place) -> None:
    """Nobody has to call close()."""
    program = "import sys\nfrom keyturn.client import Secrets\nSecrets.open(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(place.file)], check=True)
    (status,) = (place.run / "status").glob("*.json")
    assert '"drained":true' in status.read_text()


def test_importing_the_client_loads_the_standard_library_only() -> None:
    """No third-party module, and nothing of Keyturn but core, system and client."""
    program = """
import sys
before = set(sys.modules)
import keyturn.client, keyturn.client.sources.bundle_dir
loaded = {name for name in set(sys.modules) - before}
foreign = {n for n in loaded if n.split(".")[0] not in sys.stdlib_module_names and n.split(".")[0] != "keyturn"}
rooms = {n.split(".")[1] for n in loaded if n.startswith("keyturn.")}
print(sorted(foreign), sorted(rooms))
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['client', 'core', 'system']"


def test_a_second_delivery_of_another_secret_moves_only_that_one(place: Place) -> None:
    """Each secret has its own version."""
    with place.open() as secrets:
        place.application.deliver(Delivery("api-key", "k2", Bundle({"value": "key2"}), 2))
        secrets.refresh()
        assert (secrets["api-key"].version, secrets["database-url"].version) == ("k2", "v1")
