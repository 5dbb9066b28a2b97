"""A lock that a forked child can take."""

import os
import signal
import threading

from keyturn.client.fresh_lock import FreshLock


def test_a_child_takes_a_lock_that_another_thread_of_its_parent_held() -> None:
    """That thread is not in the child, and would never give it back."""
    lock, held, over = FreshLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        held.wait()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            with lock:
                os.write(writing, b"taken")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "taken"
        os.waitpid(child, 0)
    finally:
        over.set()
        holder.join()
    with lock:
        pass
