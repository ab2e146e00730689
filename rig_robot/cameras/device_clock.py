"""Determines how old an arriving frame is that a camera has stamped by its own clock."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

DRIFT = 1e-4
"""Most that two clocks drift apart [s/s]; crystals do with half of it."""
SPAN = 1.0
"""The frames of so long decide [s]."""
SLIGHT = 0.05
"""A frame may come through faster than any before it by so much [s]; one that seems to by more is stamped wrongly."""
FEWEST, SHARE = 3, 0.25
"""How many frames of the last `SPAN`, and which share of them, must have seemed so to be believed."""
LATE = 0.1
"""What the frames are late by [s] after stamps have gone back, for the clock to have been set."""
_ANEW = 1.0
"""A clock that goes back further than this [s] began anew: a reset, or the end of its 32-bit counter."""
_ROUNDED = 1e-3
"""Stamps that go back by less [s] are rounded."""


class _Frame(NamedTuple):
    steady: float
    offset: float
    age: float
    ahead: bool


class _Back(NamedTuple):
    """Stamps have gone back: when, the age of the fastest frame of the second before, the smallest offset since."""

    steady: float
    floor: float
    offset: float


class DeviceClock:
    """Estimates a frame's age by minimum delay: the frame that came through fastest was not late at all.

    The offset between the clocks falls where a frame comes through faster, and rises by the clocks' drift only. So a
    camera that falls behind looks late for as long as it is, instead of becoming the new normal. The delay that every
    frame has (read-out, transport) cannot be seen from here and is not in the age.

    Stamps may be wrong, and one that is must not set the offset. What tells it from a late frame: frames come in the
    order of their capture, so stamps of late frames never go back.

    - A frame that seems faster than any before by more than `SLIGHT` is stamped ahead. It changes nothing unless a
      quarter of the last second's frames agree; how old it is itself is not known: as the oldest of the last second.
    - Two frames in a row stamped before the newest one: the clock was set back, or the stamps before were ahead. When
      every frame of a second has looked late since, the offset begins anew: that second's fastest frame was as late as
      the fastest of the second before.
    - One that goes back by more than a second begins anew at once; if the next is as before, the old offset is back.

    How much younger than it is can a frame look? With right stamps, after `FEWEST` frames that were on time: by the
    drift since then, 0.1 ms a second. Until then, by what the first frame was late. When stamps go wrong, the frame
    itself: by what it is later than the oldest of the last second. Those after a clock that was set: by what the
    fastest has become late by within the two seconds around it. A frame stamped ahead by less than `SLIGHT` makes the
    others look older by that, never younger.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._newest = 0.0  # latest stamp that was not ahead
        self._before: tuple[float, float] | None = None  # both as they were given up at once, until frames agree anew
        self._agree = 0  # how many do
        self._steady = 0.0
        self._recent: deque[_Frame] = deque()
        self._gone_back: _Back | None = None  # a first frame
        self._set: _Back | None = None  # the same once there was a second; all frames have been late since

    def age(self, device: float, steady: float) -> float:
        """Return a frame's age [s].

        Args:
            device: The device's clock at the capture [s].
            steady: The steady clock at the arrival [s].
        """
        offset = steady - device
        if self._offset is None:
            self._begin(offset, device)
        else:
            self._offset += DRIFT * (steady - self._steady)
        self._steady = steady
        while self._recent and self._recent[0].steady < steady - SPAN:
            self._recent.popleft()
        assert self._offset is not None
        ahead = offset < self._offset - SLIGHT
        if ahead and self._before is not None and -SLIGHT <= offset - self._before[0] < _ANEW:
            (self._offset, self._newest), self._before = self._before, None  # it was one wrong stamp
            ahead = False
        age = self._ahead(offset, device) if ahead else self._in_order(offset, device, steady)
        self._recent.append(_Frame(steady, offset, age, ahead))
        return age

    def _ahead(self, offset: float, device: float) -> float:
        """Return the age [s] of a frame that seems faster than any before it by too much."""
        so = sorted([*(frame.offset for frame in self._recent if frame.ahead), offset])
        if len(so) < FEWEST or len(so) < SHARE * (len(self._recent) + 1):
            return max((frame.age for frame in self._recent), default=0.0)
        self._begin(so[FEWEST - 1], device)  # the fastest of them may be one more wrong stamp
        return max(0.0, offset - so[FEWEST - 1])

    def _in_order(self, offset: float, device: float, steady: float) -> float:
        """Return the age [s] of a frame that comes through in time, or late; begin anew where its clock was set."""
        assert self._offset is not None
        back = self._newest - device
        if back > _ROUNDED:
            floor = min((frame.age for frame in self._recent if not frame.ahead), default=0.0)
            if back > _ANEW:
                before = self._offset, self._newest
                self._begin(offset - floor, device)
                self._before = before
                return floor
            if self._gone_back is None:
                self._gone_back = _Back(steady, floor, offset)
            elif self._set is None:
                self._set = self._gone_back
        else:
            self._gone_back = None
        self._newest = max(self._newest, device)
        self._offset = min(self._offset, offset)
        age = offset - self._offset
        if age <= SLIGHT:
            self._agree += 1
            if self._agree >= FEWEST:
                self._before = None
        if self._set is not None:
            self._set = self._set._replace(offset=min(self._set.offset, offset))
            if age <= self._set.floor + LATE:
                self._set = None
            elif steady - self._set.steady >= SPAN:
                self._begin(self._set.offset - self._set.floor, device)
                return offset - self._offset
        return age

    def _begin(self, offset: float, device: float) -> None:
        """Take this for the offset from now on [s], and this for the newest stamp [s]."""
        self._offset, self._newest, self._agree = offset, device, 0
        self._before = self._gone_back = self._set = None
        known = [frame for frame in self._recent if -SLIGHT <= frame.offset - offset < _ANEW]
        self._recent = deque(frame._replace(age=max(0.0, frame.offset - offset), ahead=False) for frame in known)
