"""Frames stamped by a camera's own clock: how old is one that arrives now?"""

from __future__ import annotations

DRIFT = 1e-4
"""Most that two clocks drift apart [s/s]; crystals do with half of it."""

_ANEW = 1.0
"""A clock that goes back further than this [s] began anew: a reset, or the end of its 32-bit counter."""


class DeviceClock:
    """Estimates a frame's age by minimum delay: the frame that came through fastest was not late at all.

    The offset between the clocks falls at once when a frame comes through faster, and rises by the clocks' drift only.
    So a camera that falls behind looks late for as long as it is, instead of becoming the new normal. The delay that
    every frame has (read-out, transport) cannot be seen from here and is not in the age.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._device = self._steady = 0.0

    def age(self, device: float, steady: float) -> float:
        """Return a frame's age [s].

        Args:
            device: The device's clock at the capture [s].
            steady: The steady clock at the arrival [s].
        """
        offset = steady - device
        if self._offset is None or device < self._device - _ANEW:
            self._offset = offset
        else:
            self._offset = min(offset, self._offset + DRIFT * (steady - self._steady))
        self._device, self._steady = device, steady
        return offset - self._offset
