"""What a rolling restart costs behind a real nginx."""

from pathlib import Path

from keyturn.system.nginx_file import Upstream, read_nginx
from keyturn.testing.docker_engine import DockerEngine
from keyturn.testing.nginx_server import NginxServer
from keyturn.testing.rolling_restart import rolling_restart


def test_without_the_pause_requests_fail(engine: DockerEngine, tmp_path: Path) -> None:
    """On nginx's defaults the second replica ends while the first one is still taken for down: nobody answers."""
    count = rolling_restart(engine, tmp_path, replicas=2, pause=0.001, options="", users=2)
    assert count.moved == 2
    assert count.failed > 0


def test_with_a_pause_longer_than_its_time_out_none_does(engine: DockerEngine, tmp_path: Path) -> None:
    """The first one takes requests again before the second ends; every request is answered."""
    count = rolling_restart(engine, tmp_path, replicas=2, pause=1.5, options="fail_timeout=1s", users=2)
    assert count.moved == 2
    assert count.requests > 100
    assert count.failed == 0


def test_what_nginx_runs_with_is_read_as_it_is_meant() -> None:
    """A configuration that nginx itself takes has the peers and the time-out that were asked for."""
    with NginxServer([1, 2], "fail_timeout=3s", tls=False) as server:
        assert read_nginx(server.configuration) == (Upstream("api", 3.0, declared=True),)
