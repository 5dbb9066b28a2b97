"""scripts/packages.sh on a machine of its own: a prefix instead of /, and an apt-get that looks around and obeys."""

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from scripts.run_tests import ROOT

SCRIPT = ROOT / "scripts" / "packages.sh"
TOOLS = ("bash", "cat", "chmod", "cp", "cut", "dirname", "env", "flock", "git", "grep", "mkdir", "mv", "rm", "sh")

APT_GET = """#!/bin/sh
# Writes down what it was asked for and what it saw at that moment, then "installs".
root=$KEYTURN_SETUP_ROOT
cluster=$root/etc/postgresql-common/createcluster.conf
{
  echo "call $*"
  "$root/usr/sbin/policy-rc.d" ssh start; echo "policy $?"
  grep -h create_main_cluster "$cluster" 2>/dev/null
} >>"$root/log"
case " $* " in *" update "*) exit 0 ;; esac
[ -z "${HANG:-}" ] || { echo here >"$root/started"; read -r line <"$root/never"; }
[ -z "${BROKEN:-}" ] || exit 100
case " $* " in
  *" postgresql-common "*) mkdir -p "${cluster%/*}"; echo "#create_main_cluster = true" >"$cluster" ;;
  *" postgresql "*) mkdir -p "$root/usr/lib/postgresql/15/bin"; cp "$0" "$root/usr/lib/postgresql/15/bin/initdb" ;;
esac
case " $* " in *" iproute2 "*) cp "$0" "$root/usr/sbin/ip" ;; esac
case " $* " in *" util-linux "*) cp "$0" "$root/usr/sbin/unshare" ;; esac
case " $* " in *" pgbouncer "*) cp "$0" "$root/usr/sbin/pgbouncer" ;; esac
case " $* " in *" redis-server "*) cp "$0" "$root/usr/sbin/redis-server" ;; esac
case " $* " in *" nginx "*) cp "$0" "$root/usr/sbin/nginx" ;; esac
case " $* " in *" strace "*) cp "$0" "$root/usr/sbin/strace" ;; esac
"""

DPKG = """#!/bin/sh
root=$KEYTURN_SETUP_ROOT
"$root/usr/sbin/policy-rc.d" ssh start
echo "dpkg $* under $?" >>"$root/log"
grep -h create_main_cluster "$root/etc/postgresql-common/createcluster.conf" >>"$root/log"
"""

Run = subprocess.Popen[str]


class Machine:
    """A prefix with a PATH of its own. `user` is what `id -u` says there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.policy = root / "usr" / "sbin" / "policy-rc.d"
        self.cluster = root / "etc" / "postgresql-common" / "createcluster.conf"
        self._bin = root / "bin"
        for folder in (self.policy.parent, self._bin):
            folder.mkdir(parents=True)
        for tool in TOOLS:
            (self._bin / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
        self.program("apt-get", APT_GET)
        self.program("dpkg", DPKG)
        self.user(0)

    def program(self, name: str, text: str) -> None:
        """Put a program on its PATH."""
        (self._bin / name).write_text(text)
        (self._bin / name).chmod(0o755)

    def user(self, number: int) -> None:
        """Let `id -u` say that number."""
        self.program("id", f"#!/bin/sh\necho {number}\n")

    def start(self, arguments: Sequence[str] = (), stdin: int = subprocess.DEVNULL, **environment: str) -> Run:
        """Begin a run in a process group of its own."""
        return subprocess.Popen(
            [str(SCRIPT), *arguments],
            env={"PATH": str(self._bin), "KEYTURN_SETUP_ROOT": str(self.root), **environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run to the end without a terminal."""
        process = self.start(arguments, subprocess.DEVNULL, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def answer(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run on a terminal on which `text` is typed."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, text.encode())
            process = self.start(stdin=theirs)
            out, err = process.communicate(timeout=60)
        finally:
            os.close(ours)
            os.close(theirs)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def hang(self) -> Run:
        """A run that stands in the middle of apt-get."""
        for name in ("started", "never"):
            if not (self.root / name).exists():
                os.mkfifo(self.root / name)
        process = self.start(HANG="1")
        assert (self.root / "started").read_text() == "here\n"
        return process

    def log(self) -> str:
        """What apt-get saw and was asked for."""
        log = self.root / "log"
        return log.read_text() if log.exists() else ""

    def remnants(self) -> list[str]:
        """Files that stand in for others, or keep them."""
        return sorted(path.name for path in self.root.rglob("*.keyturn-*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh machine on which nothing is installed."""
    return Machine(tmp_path)


@pytest.fixture
def ended() -> Iterator[Callable[[Run, int], int]]:
    """End a run by a signal to all its processes; its exit status."""
    processes: list[Run] = []

    def end(process: Run, number: int) -> int:
        processes.append(process)
        os.killpg(process.pid, number)
        process.communicate(timeout=60)
        return process.returncode

    yield end
    assert all(process.poll() is not None for process in processes)


def test_missing_packages_are_named_and_nothing_is_changed(machine: Machine) -> None:
    """With --missing the script prints the Debian packages, one per line, and installs none."""
    answer = machine.run("--missing")
    wanted = "postgresql iproute2 util-linux pgbouncer redis-server nginx strace"
    assert answer.stdout.split() == wanted.split()
    assert machine.log() == ""


def test_without_a_terminal_it_goes_on_by_itself(machine: Machine) -> None:
    """Where nobody can be asked, what is missing is installed and a second run finds nothing to do."""
    assert machine.run().returncode == 0
    wanted = "postgresql iproute2 util-linux pgbouncer redis-server nginx strace"
    assert f"install --no-install-recommends --no-upgrade {wanted}" in machine.log()
    before = machine.log()
    assert machine.run().returncode == 0
    assert machine.log() == before
    assert machine.run("--missing").stdout == ""


def test_what_was_installed_does_not_start_at_the_next_boot(machine: Machine) -> None:
    """The service that Debian's package enables is disabled again; without systemd there is nothing to do."""
    machine.program("systemctl", '#!/bin/sh\necho "systemctl $*" >>"$KEYTURN_SETUP_ROOT/log"\n')
    machine.run()
    disabled = [
        f"systemctl --quiet --root={machine.root}/ disable {name}.service"
        for name in ("pgbouncer", "redis-server", "nginx")
    ]
    assert machine.log().splitlines()[-3:] == disabled


def test_no_daemon_may_start_while_packages_are_installed(machine: Machine) -> None:
    """Every call of apt-get sees a policy that forbids to start anything, and afterwards there is none, as before."""
    machine.run()
    calls, answers = machine.log().count("call "), machine.log().count("policy 101")
    assert calls == answers == 3
    assert not machine.policy.exists()
    assert machine.remnants() == []


def test_a_policy_that_was_there_is_put_back_as_it_was(machine: Machine) -> None:
    """The administrator's own policy-rc.d comes back with its content and mode."""
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    machine.policy.chmod(0o750)
    machine.run()
    assert "policy 104" not in machine.log()
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert machine.policy.stat().st_mode & 0o777 == 0o750


def test_no_cluster_is_created(machine: Machine) -> None:
    """The server package is installed under a setting that creates no cluster, which is gone afterwards."""
    machine.run()
    assert "create_main_cluster = false" in machine.log().split("--no-upgrade postgresql ")[1]
    assert machine.cluster.read_text() == "#create_main_cluster = true\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_puts_everything_back(
    machine: Machine, ended: Callable[[Run, int], int], number: int, status: int
) -> None:
    """Ctrl-C and SIGTERM in the middle of apt-get leave the policy as it was."""
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    assert ended(machine.hang(), number) in {status, -number}
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert machine.remnants() == []


@pytest.mark.parametrize("before", ["#!/bin/sh\nexit 104\n", None])
def test_the_next_run_repairs_what_a_killed_one_left(
    machine: Machine, ended: Callable[[Run, int], int], before: str | None
) -> None:
    """After kill -9 the policy still forbids everything, and the next run puts back what was there."""
    if before:
        machine.policy.write_text(before)
    ended(machine.hang(), signal.SIGKILL)
    assert "exit 101" in machine.policy.read_text()
    machine.run()
    assert (machine.policy.read_text() if machine.policy.exists() else None) == before
    assert machine.remnants() == []


def test_a_repair_finishes_what_was_unpacked_before_it_takes_the_protection_away(
    machine: Machine, ended: Callable[[Run, int], int]
) -> None:
    """Packages that a killed run left half installed are configured under its policy and without a cluster."""
    machine.cluster.parent.mkdir(parents=True)
    machine.cluster.write_text("#create_main_cluster = true\n")
    ended(machine.hang(), signal.SIGKILL)
    machine.user(0)
    machine.run(BROKEN="1")
    said = machine.log()
    configured = said[said.index("dpkg") :].splitlines()
    assert configured[0].endswith("--configure -a under 101")
    assert "create_main_cluster = false" in configured[:3]
    assert machine.cluster.read_text() == "#create_main_cluster = true\n"


def test_a_repair_keeps_what_somebody_wrote_in_between(machine: Machine, ended: Callable[[Run, int], int]) -> None:
    """A policy that the administrator wrote after a killed run is not overwritten by the older one."""
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    ended(machine.hang(), signal.SIGKILL)
    machine.policy.write_text("#!/bin/sh\nexit 0\n")
    machine.user(0)
    machine.run(BROKEN="1")
    assert machine.policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert machine.remnants() == []


def test_a_failing_apt_get_is_named_and_leaves_nothing(machine: Machine) -> None:
    """When the installation fails, the script says what is still missing and the policy is gone again."""
    answer = machine.run(BROKEN="1")
    assert "still missing: postgresql iproute2 util-linux pgbouncer redis-server nginx strace" in answer.stderr
    assert not machine.policy.exists()
    assert machine.remnants() == []


def test_on_a_terminal_it_asks_and_a_no_is_kept(machine: Machine) -> None:
    """Somebody who answers no gets nothing installed."""
    answer = machine.answer("n\n")
    assert (
        "Install postgresql iproute2 util-linux pgbouncer redis-server nginx strace with apt-get? [Y/n]"
        in answer.stderr
    )
    assert answer.returncode == 0
    assert machine.log() == ""


def test_on_a_terminal_return_means_yes(machine: Machine) -> None:
    """Somebody who only presses return gets what was offered."""
    assert machine.answer("\n").returncode == 0
    assert machine.run("--missing").stdout == ""


def test_an_ordinary_user_is_told_and_nothing_is_tried(machine: Machine) -> None:
    """Without root the script names the packages, changes nothing, and lets the command go on."""
    machine.user(1000)
    answer = machine.run(YES="1")
    assert answer.returncode == 0
    assert "apt-get install postgresql iproute2 util-linux pgbouncer redis-server nginx strace" in answer.stderr
    assert machine.log() == ""
