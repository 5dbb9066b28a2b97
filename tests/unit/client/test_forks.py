"""Forks of several threads, and while others open something."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
AT_ONCE = """
import os, sys, threading
from keyturn.client import forks
from keyturn.client.fresh_lock import FreshLock

class Opened:
    renewed = False
    def __init__(self): self.lock = threading.RLock()
    def before_fork(self): self.lock.acquire()
    def after_fork_in_parent(self): self.lock.release()
    def after_fork_in_child(self): self.renewed = True
    def close(self): pass

failed = []
sys.unraisablehook = lambda what: failed.append(repr(what.exc_value))
sys.setswitchinterval(1e-6)
opened = [Opened() for _ in range(3)]
locks = [FreshLock() for _ in range(100)]
for one in opened:
    forks.follow(one)
over = threading.Event()

def fork():
    for _ in range(int(sys.argv[2])):
        child = os.fork()
        if child == 0:
            os._exit(0 if all(one.renewed for one in opened) else 1)
        if os.waitpid(child, 0)[1]:
            failed.append("a child was not renewed")

def add():
    while not over.is_set():
        FreshLock()

threads = [threading.Thread(target=fork, daemon=True) for _ in range(int(sys.argv[1]))]
threading.Thread(target=add, daemon=True).start()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
over.set()
failed += ["a thread waits for ever" for thread in threads if thread.is_alive()]
free = []
trial = threading.Thread(target=lambda: free.extend(one.lock.acquire(timeout=1) for one in opened))
trial.start()
trial.join()
print(len(failed), failed[:2], all(free), flush=True)
os._exit(0)
"""


def test_threads_that_fork_at_the_same_time_let_go_of_all_that_they_held() -> None:
    """And each child is renewed, whatever other threads open meanwhile."""
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", AT_ONCE, "4", "100"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0 [] True\n", "")
