"""What is freed is kept for what comes next."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)"""
LARGE = 2**30
"""Bytes"""


def keep_freed_memory() -> None:
    """Let glibc's malloc reuse large blocks (another C library: no effect).

    By itself it hands each back to the system, which zeroes it page by page before it is had again (docs/speed.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)
