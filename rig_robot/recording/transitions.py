"""Turns episodes into transitions: s_t is the frame that a twist rests on, a_t that twist, s' the next twist's frame.

No transition spans a stop of the arm, a change of the VAE or another twist, and none is shorter than 0.5 or longer than
1.5 periods: the learner treats every step as one period.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig_robot.common.message_fields import header_ns, values
from rig_robot.recording import topics
from rig_robot.recording.bag_reader import Report, warn
from rig_robot.recording.episode_reader import EpisodeError, EpisodeInfo, messages
from rig_robot.vision.image_decoding import PictureRefused, from_raw

SHORTEST, GAP = 0.5, 1.5
"""Twists nearer to each other or further apart than these numbers of periods are not consecutive steps."""
_MOVING = "moving"


class Segment(NamedTuple):
    """Consecutive steps without a gap: T transitions, T + 1 frames."""

    images: NDArray[np.uint8]
    """[T + 1, S, S, 3] RGB observations"""
    actions: NDArray[np.float32]
    """[T, A] in [-1, 1], A the axes of the episode's `action.axes`"""
    positions: NDArray[np.float32]
    """[T + 1, 3] measured tool positions at the frames [m]; NaN where none was measured within half a period"""
    stamps: NDArray[np.int64]
    """[T + 1] stamps of the frames [ns]"""
    goal: NDArray[np.uint8] | None
    """[S, S, 3] RGB picture of the goal (of an imagined one the VAE's decoding); None where there was none"""


_ROLES = (
    *(topics.EPISODE, topics.TWIST, topics.OBSERVATION, topics.LATENT, topics.STATUS, topics.POSE),
    *(topics.GOAL, topics.RECONSTRUCTION),
)
"""Roles of the topics whose messages make transitions"""


class _Messages:
    """The content of an episode's messages, as far as transitions need it."""

    def __init__(self, info: EpisodeInfo) -> None:
        self.twists: dict[int, Any] = {}
        self.frames: dict[int, NDArray[np.uint8]] = {}
        self.vaes: dict[int, str] = {}
        self.states: list[tuple[int, str]] = []
        self.poses: list[tuple[int, tuple[float, float, float]]] = []
        self._info = info
        self.read: Counter[str] = Counter()
        """number of messages by role"""
        goals: dict[str, NDArray[np.uint8]] = {}
        begin, end = 0, 2**63
        twists = []
        for role, time_ns, message in messages(info, _ROLES):
            self.read[role] += 1
            if role == topics.TWIST:
                twists.append((time_ns, message))
            elif role == topics.OBSERVATION:
                self.frames[header_ns(message)] = self._picture(message)
            elif role == topics.LATENT:
                self.vaes[header_ns(message)] = message.header.frame_id
            elif role == topics.STATUS:
                self.states.append((time_ns, values(message).get("state", "")))
            elif role == topics.POSE:
                place = message.pose.position
                self.poses.append((header_ns(message), (place.x, place.y, place.z)))
            elif role == topics.EPISODE:
                if (said := values(message)).get("id") == info.episode:
                    begin, end = (time_ns, end) if said.get("event") == "start" else (begin, time_ns)
            elif message.width and header_ns(message) == info.goal_ns and role not in goals:
                goals[role] = self._picture(message)
        # Twists before the start or after the end belong to the episodes before and after.
        self.twists = {header_ns(message): message.twist.linear for at, message in twists if begin <= at <= end}
        self.goal = goals.get(topics.GOAL, goals.get(topics.RECONSTRUCTION))
        self.poses.sort()
        self._state_times = [time_ns for time_ns, _ in self.states]
        self._pose_times = [time_ns for time_ns, _ in self.poses]

    def _picture(self, message: Any) -> NDArray[np.uint8]:
        size = self._info.camera.image_size
        try:
            picture = from_raw(message)
        except PictureRefused as error:
            raise EpisodeError(f"{self._info.directory}: an observation or goal cannot be used: {error}") from None
        if picture.shape != (size, size, 3):
            height, width = picture.shape[:2]
            raise EpisodeError(
                f"{self._info.directory}: an observation or goal is {width}x{height}, "
                f"its metadata say {size}x{size} (camera.image_size)"
            )
        return picture

    def moved(self, start: int, end: int) -> bool:
        """Return whether the arm followed the policy between two times [ns]: it may have begun to, but not stopped."""
        first, after = bisect_right(self._state_times, start), bisect_right(self._state_times, end)
        said = [state for _, state in self.states[first:after]]
        if not said:
            said = [state for _, state in self.states[:after][-1:]]
        return bool(said) and all(state == _MOVING for state in said)

    def position(self, moment: int, tolerance: float) -> tuple[float, float, float]:
        """Return the measured tool position nearest in time [m]; NaN where none is within the tolerance [ns]."""
        index = bisect_left(self._pose_times, moment)
        near = self.poses[max(0, index - 1) : index + 1]
        time_ns, place = min(near, key=lambda pose: abs(pose[0] - moment), default=(0, (np.nan,) * 3))
        return place if abs(time_ns - moment) <= tolerance else (np.nan, np.nan, np.nan)


def read_segments(info: EpisodeInfo, report: Report = warn) -> list[Segment]:
    """Read an episode's transitions; segments without one are left out.

    Args:
        info: The episode.
        report: Is told where the episode holds another number of messages than its metadata say.

    Raises:
        EpisodeError: If the file is broken, or an observation does not have the size in the metadata.
    """
    heard = _Messages(info)
    if wrong := [role for role in _ROLES if role in info.topics and heard.read[role] != info.messages.get(role, 0)]:
        counts = ", ".join(f"{heard.read[role]} of {info.messages.get(role, 0)} of {role}" for role in wrong)
        report(f"{info.directory}: other numbers of messages were read than its metadata.yaml says: {counts}")
    period = 1e9 * info.action.period_s
    full = info.action.scale_m / info.action.period_s  # m/s of an action of 1

    def action(stamp: int) -> list[float]:
        return [getattr(heard.twists[stamp], axis) / full for axis in info.action.axes]

    stamps = sorted(heard.twists)
    runs: list[list[int]] = []
    vae = ""
    for before, stamp in zip([None, *stamps], stamps, strict=False):
        if stamp not in heard.frames or not np.isfinite(action(stamp)).all():
            continue
        vae, vae_before = heard.vaes.get(stamp, vae), vae
        follows = (
            before is not None
            and bool(runs)
            and runs[-1][-1] == before
            and SHORTEST * period <= stamp - before <= GAP * period
            and vae in ("", vae_before)
            and heard.moved(before, stamp)
        )
        if follows:
            runs[-1].append(stamp)
        else:
            runs.append([stamp])
    return [
        Segment(
            images=np.stack([heard.frames[stamp] for stamp in run]),
            actions=np.clip(np.array([action(stamp) for stamp in run[:-1]], np.float32), -1.0, 1.0),
            positions=np.array([heard.position(stamp, 0.5 * period) for stamp in run], np.float32),
            stamps=np.array(run, np.int64),
            goal=heard.goal,
        )
        for run in runs
        if len(run) > 1
    ]
