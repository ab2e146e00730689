"""Tunes malloc for processes that receive or send large images many times a second."""

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of the GNU C library
_LARGEST_KEPT = 32 * 1024 * 1024
"""The most that the library accepts [bytes]; larger blocks still go back to the kernel."""


def keep_large_blocks() -> None:
    """Let freed image buffers stay with this process instead of going back to the kernel.

    The default gives a 640x480 frame's buffers back and gets them anew, page by page, for every frame: that is half of
    what the camera node does for a frame, and what makes some frames late (docs/nodes.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library: it only costs time
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_M_TRIM_THRESHOLD, 4 * _LARGEST_KEPT)
    mallopt(_M_TOP_PAD, _LARGEST_KEPT // 4)
