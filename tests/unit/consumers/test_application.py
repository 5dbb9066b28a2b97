"""Delivery to an application: whole generations, in order, in place of nothing that is not ours."""

import grp
import os
import stat
import threading
from pathlib import Path

import pytest

from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery
from keyturn.core.errors import Conflict, Corrupt, Denied, FenceLost, InvalidName, NotFound
from keyturn.core.generation import Challenge, Index
from keyturn.core.secret import Bundle, SecretValue

BUNDLE = Bundle({"username": "clo_a", "password": "first"})
SECRET = "database"
OTHER = Bundle({"username": "clo_b", "password": "second"})


def application(home: Path, group: str | None = None) -> Application:
    """An application below `home`."""
    return Application(
        name="clo-api",
        service="clo",
        environment="test",
        bundle_dir=home / "run" / "bundle",
        status_dir=home / "run" / "status",
        expect=1,
        group=group,
    )


def address(username: str) -> SecretValue:
    """The URL that is published for it."""
    return SecretValue(f"postgresql://{username}")


def delivery(version: str, fence: int, bundle: Bundle = BUNDLE, secret: str = SECRET) -> Delivery:
    """A delivery with one published view."""
    return Delivery(secret, version, bundle, fence, {f"{secret}-url": address(bundle["username"].reveal())})


def read(home: Path, name: str) -> str:
    """One file of the bundle."""
    return (home / "run" / "bundle" / name).read_text()


def generation(home: Path) -> str:
    """The name of the generation that readers get."""
    return str((home / "run" / "bundle").readlink())


def test_a_delivery_lies_there_whole(tmp_path: Path) -> None:
    """A file for each field and view, the proof key, and the index."""
    application(tmp_path).deliver(delivery("v1", 1))
    assert read(tmp_path, "database.username") == "clo_a"
    assert read(tmp_path, "database.password") == "first"
    assert read(tmp_path, "database-url") == "postgresql://clo_a"
    assert SecretValue(read(tmp_path, "database.proof-key")) == BUNDLE.proof_key
    index = Index.parse(read(tmp_path, "index.json").encode())
    assert (index.service, index.environment, index.consumer) == ("clo", "test", "clo-api")
    assert (index.secrets["database"].version, index.secrets["database"].fence) == ("v1", 1)


def test_what_is_delivered_is_known(tmp_path: Path) -> None:
    """None before the first delivery and for another secret."""
    target = application(tmp_path)
    assert target.delivered("database") is None
    target.deliver(delivery("v1", 1))
    assert (target.delivered("database"), target.delivered("redis")) == ("v1", None)


@pytest.mark.parametrize(("group", "directory", "file"), [(False, 0o700, 0o600), (True, 0o750, 0o640)])
def test_nothing_is_wider_than_declared(tmp_path: Path, *, group: bool, directory: int, file: int) -> None:
    """Only the owner reads it, or the declared group as well, under any umask."""
    name = grp.getgrgid(os.getegid()).gr_name if group else None
    before = os.umask(0)
    try:
        application(tmp_path, name).deliver(delivery("v1", 1))
    finally:
        os.umask(before)
    run = tmp_path / "run"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (run, run / "bundle", *(run / "bundle").iterdir())}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {directory}
    assert {mode for path, mode in modes.items() if path.is_file()} == {file}
    assert stat.S_IMODE((run / "challenge").stat().st_mode) == file


def test_a_group_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """Nothing is delivered to nobody."""
    with pytest.raises(Denied, match="no group 'no-such-group'"):
        application(tmp_path, "no-such-group").deliver(delivery("v1", 1))
    assert not (tmp_path / "run").exists()


def test_other_secrets_stay_as_they_are(tmp_path: Path) -> None:
    """A delivery replaces its own secret only, and drops views that it no longer has."""
    target = application(tmp_path)
    target.deliver(delivery("r1", 1, OTHER, "redis"))
    target.deliver(delivery("v1", 1))
    target.deliver(Delivery("database", "v2", OTHER, 2))
    assert (target.delivered("redis"), target.delivered("database")) == ("r1", "v2")
    assert (read(tmp_path, "redis.password"), read(tmp_path, "database.password")) == ("second", "second")
    assert not (tmp_path / "run" / "bundle" / "database-url").exists()
    assert (tmp_path / "run" / "bundle" / "redis-url").exists()


def test_the_same_delivery_again_changes_nothing(tmp_path: Path) -> None:
    """No new generation, and the question that stands goes on standing."""
    target = application(tmp_path)
    target.deliver(delivery("v1", 1))
    before = (generation(tmp_path), (tmp_path / "run" / "challenge").read_bytes())
    target.deliver(delivery("v1", 1))
    assert (generation(tmp_path), (tmp_path / "run" / "challenge").read_bytes()) == before


def test_the_same_delivery_again_puts_changed_content_right(tmp_path: Path) -> None:
    """What was edited in place is what was delivered afterwards."""
    target = application(tmp_path)
    target.deliver(delivery("v1", 1))
    (tmp_path / "run" / "bundle" / "database.password").write_text("edited")
    target.deliver(delivery("v1", 1))
    assert read(tmp_path, "database.password") == "first"


def test_a_late_delivery_is_refused(tmp_path: Path) -> None:
    """A lower fence loses, the same fence with another version is a conflict; what lies there stays."""
    target = application(tmp_path)
    target.deliver(delivery("v2", 5, OTHER))
    with pytest.raises(FenceLost):
        target.deliver(delivery("v1", 4))
    with pytest.raises(Conflict):
        target.deliver(delivery("v1", 5))
    assert target.delivered("database") == "v2"
    target.deliver(delivery("v1", 6))
    assert target.delivered("database") == "v1"


def test_the_generation_before_is_kept_and_older_ones_are_not(tmp_path: Path) -> None:
    """A slow reader can finish; halves that a killed delivery left are removed with the rest."""
    target = application(tmp_path)
    links = []
    for number in range(4):
        target.deliver(delivery(f"v{number}", number))
        links.append(generation(tmp_path))
        (tmp_path / "run" / ".bundle-0123456789abcdef").mkdir(exist_ok=True)
    target.deliver(delivery("v9", 9))
    kept = {path.name for path in (tmp_path / "run").glob(".bundle-*")}
    assert kept == {links[-1], generation(tmp_path)}


def test_the_neighbours_directories_are_left_alone(tmp_path: Path) -> None:
    """Another bundle in the same directory, or anything with a similar name, is not ours to remove."""
    (tmp_path / "run").mkdir(mode=0o700)
    for name in (".bundle-other-0123456789abcdef", ".bundle-kept", "bundle-0123456789abcdef"):
        (tmp_path / "run" / name).mkdir()
    target = application(tmp_path)
    target.deliver(delivery("v1", 1))
    target.deliver(delivery("v2", 2))
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {".bundle-other-0123456789abcdef", ".bundle-kept", "bundle-0123456789abcdef"} <= left


def test_what_keyturn_did_not_make_is_not_replaced(tmp_path: Path) -> None:
    """A directory, or a link to somewhere else, at the bundle's place."""
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "bundle").mkdir()
    with pytest.raises(Conflict, match="not a symbolic link"):
        application(tmp_path).deliver(delivery("v1", 1))
    (tmp_path / "run" / "bundle").rmdir()
    (tmp_path / "run" / "bundle").symlink_to("/etc")
    with pytest.raises(Conflict, match="did not make"):
        application(tmp_path).deliver(delivery("v1", 1))


def test_a_directory_that_others_write_to_is_no_place_for_secrets(tmp_path: Path) -> None:
    """They could put their own bundle there."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(Denied, match="0777"):
        application(tmp_path).deliver(delivery("v1", 1))


def test_a_parent_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A wrong path in the manifest is said, not created."""
    with pytest.raises(NotFound):
        application(tmp_path / "wrong").deliver(delivery("v1", 1))


def test_two_secrets_cannot_publish_one_name(tmp_path: Path) -> None:
    """Nor can a field take the place of the index."""
    target = application(tmp_path)
    target.deliver(delivery("v1", 1))
    clash = {"database-url": SecretValue("other")}
    with pytest.raises(InvalidName, match="'database-url'"):
        target.deliver(Delivery("redis", "r1", OTHER, 1, clash))
    with pytest.raises(InvalidName, match=r"'index\.json'"):
        target.deliver(Delivery("index", "i1", Bundle({"json": "{}"}), 1))


def test_a_bundle_that_cannot_be_read_is_corrupt(tmp_path: Path) -> None:
    """Its other secrets would be lost without a word if it were replaced."""
    target = application(tmp_path)
    target.deliver(delivery("v1", 1))
    bundle = tmp_path / "run" / "bundle"
    (bundle / "database.password").unlink()
    with pytest.raises(Corrupt, match="not complete"):
        target.deliver(delivery("v2", 2))
    (bundle / "index.json").write_text("{}")
    with pytest.raises(Corrupt, match="no key"):
        target.delivered("database")
    (tmp_path / "run" / generation(tmp_path)).rename(tmp_path / "run" / "away")
    with pytest.raises(Corrupt, match="not there"):
        target.delivered("database")


def test_deliveries_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Two secrets delivered from two threads, over and over: each ends at its last version."""
    target = application(tmp_path)

    def run(secret: str) -> None:
        for number in range(1, 16):
            target.deliver(delivery(f"v{number}", number, secret=secret))

    threads = [threading.Thread(target=run, args=(secret,)) for secret in ("database", "redis")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (target.delivered("database"), target.delivered("redis")) == ("v15", "v15")


def test_each_new_generation_is_asked_about_anew(tmp_path: Path) -> None:
    """No answer from before a delivery counts after it: the nonce is new and names no former one."""
    target = application(tmp_path)
    target.deliver(delivery("v1", 1))
    first = Challenge.parse((tmp_path / "run" / "challenge").read_bytes())
    target.deliver(delivery("v2", 2))
    second = Challenge.parse((tmp_path / "run" / "challenge").read_bytes())
    assert second.nonce != first.nonce
    assert second.previous == ""
    assert second.generation == generation(tmp_path)
