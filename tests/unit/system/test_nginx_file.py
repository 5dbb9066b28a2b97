"""For how long an nginx leaves a peer alone, as its configuration says."""

from pathlib import Path

import pytest

from keyturn.core.errors import Corrupt, NotFound, TooLarge
from keyturn.system.nginx_file import Upstream, read_nginx


def read(home: Path, text: str) -> tuple[Upstream, ...]:
    """What that configuration says."""
    (home / "nginx.conf").write_text(text)
    return read_nginx(home / "nginx.conf")


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ("a:1", "b:1", 10.0),
        ("a:1 fail_timeout=3s", "b:1 weight=2 fail_timeout=2", 3.0),
        ("a:1 fail_timeout=500ms", "b:1 fail_timeout=1m", 60.0),
        ("a:1 max_fails=0", "b:1", 10.0),
        ("a:1 max_fails=3 fail_timeout=30s", "b:1 max_fails=0 fail_timeout=90s", 30.0),
    ],
)
def test_the_most_patient_peer_counts(tmp_path: Path, first: str, second: str, seconds: float) -> None:
    """Each peer has nginx's default where it says nothing, and is never left alone with `max_fails=0`."""
    text = f"http {{ upstream api {{ server {first}; server {second}; }} }}"
    assert read(tmp_path, text) == (Upstream("api", seconds, declared=True),)


def test_a_single_peer_and_one_that_is_never_left_alone_count_not(tmp_path: Path) -> None:
    """Nginx does not count the failures of an only peer, nor where it was told not to."""
    text = "upstream one { server a:1; } upstream none { server a:1 max_fails=0; server b:1 max_fails=0; }"
    assert read(tmp_path, text) == ()


def test_a_host_name_may_be_several_peers(tmp_path: Path) -> None:
    """Without an `upstream` the addresses of a name are peers with the defaults; an address or a variable is none."""
    passes = ("http://api:8000/", "http://127.0.0.1:1", "http://$up", "http://unix:/run/x", "http://localhost:9")
    text = "".join(f"server {{ location / {{ proxy_pass {one}; }} }}" for one in passes)
    assert read(tmp_path, text) == (Upstream("api", 10.0, declared=False),)


def test_comments_quotes_and_other_blocks_are_passed_over(tmp_path: Path) -> None:
    """Only what stands in an upstream is a peer."""
    text = """
    # upstream old { server a:1; server b:1 fail_timeout=99s; }
    log_format main '$remote_addr "{;}" # no comment';
    server { listen 80; server_name "a;b"; }
    upstream "api" { server a:1 fail_timeout=2s; server b:1 fail_timeout=2s; keepalive 8; }
    """
    assert read(tmp_path, text) == (Upstream("api", 2.0, declared=True),)


def test_includes_are_followed(tmp_path: Path) -> None:
    """By pattern, from the directory of the first file; in the middle of a block as well."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "api.conf").write_text("upstream api { server a:1 fail_timeout=7s; server b:1; }")
    assert read(tmp_path, "http { include conf.d/*.conf; }") == (Upstream("api", 10.0, declared=True),)
    assert read(tmp_path, f"http {{ include {tmp_path}/conf.d/api.conf; }}")[0].name == "api"


@pytest.mark.parametrize("text", ["http {", "}", 'log "open;', "worker_processes 1"])
def test_half_a_file_is_refused(tmp_path: Path, text: str) -> None:
    """What does not end is no configuration."""
    with pytest.raises(Corrupt, match=r"nginx\.conf"):
        read(tmp_path, text)


def test_a_file_that_includes_itself_has_an_end(tmp_path: Path) -> None:
    """So many files and no more."""
    with pytest.raises(TooLarge):
        read(tmp_path, "include nginx.conf;")
    with pytest.raises(NotFound):
        read_nginx(tmp_path / "other.conf")
