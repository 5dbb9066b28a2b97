"""A child, ended as by a power cut on its way into the kernel for the n-th time, whichever call that is (ptrace(2))."""

import ctypes
import os
import signal
from collections.abc import Callable

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
_MARK_CALLS, _DIE_WITH_US = 0x1, 0x100000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


def killed_at(at: int, act: Callable[[], object]) -> bool:
    """Do `act` in a child, and kill it on its way into the kernel for the `at`-th time; False when it ended before."""
    child = os.fork()
    if not child:
        try:
            _ptrace(_TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            act()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, _MARK_CALLS | _DIE_WITH_US)
    passed, entering, deliver = 0, True, 0
    while True:
        _ptrace(_SYSCALL, child, deliver)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSTOPPED(status):
            return False
        at_a_call = os.WSTOPSIG(status) == signal.SIGTRAP | 0x80
        deliver = 0 if at_a_call else os.WSTOPSIG(status)
        if at_a_call:
            passed += entering
            entering = not entering
            if passed == at:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return True
