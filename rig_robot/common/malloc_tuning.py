"""Tunes malloc for processes that receive or send large images many times a second."""

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of the GNU C library
_LARGEST_KEPT = 32 * 1024 * 1024
"""The most that the library accepts [bytes]; larger blocks still go back to the kernel."""


def keep_large_blocks() -> None:
    """Keep freed image buffers in this process instead of returning them to the kernel.

    By default the C library returns a 640x480 frame's buffers and gets them anew, page by page, for every frame. That
    is half of the camera node's work for a frame, and makes some frames late.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library: frames only take longer
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_M_TRIM_THRESHOLD, 4 * _LARGEST_KEPT)
    mallopt(_M_TOP_PAD, _LARGEST_KEPT // 4)
