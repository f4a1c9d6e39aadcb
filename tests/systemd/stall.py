"""Stops one thread of a process until the process is gone; the other threads run on. The arguments are the process's
folder in /proc and the thread's name."""

import ctypes
import os
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207
ALL_KINDS = 0x40000000

process, name = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def is_it(thread):
    with open(f"{process}/task/{thread}/comm", encoding="utf-8") as comm:
        return comm.read().strip() == name


thread = int(next(filter(is_it, os.listdir(f"{process}/task"))))
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, thread, None, None) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
while True:
    _, status = os.waitpid(thread, ALL_KINDS)
    if not os.WIFSTOPPED(status):
        break
    print("stopped", flush=True)
