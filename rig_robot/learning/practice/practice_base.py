"""What learning to reach and learning to push on a robot share: units of work, the state on disk, logs, progress."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from rig_robot.checkpoints import checkpoint
from rig_robot.checkpoints.checkpoint import CURRENT
from rig_robot.common.one_line import one_line
from rig_robot.learning.practice.phases import Exploration, Notes, Phase, Progress
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.representations.base import Log
from rig_robot.recording.transitions import Segment

LOGS = "tensorboard"


class Interrupted(Exception):
    """A unit of work was broken off, since somebody wants to pause or stop; nothing of it counts."""


class SavedState(Protocol):
    """The state on disk."""

    notes: Notes

    def save(self) -> None:
        """Replace the state on disk."""


class Practice(ABC):
    """Takes recorded episodes in, does one unit of work a call, and says how far it is.

    Not thread-safe: one thread calls.
    """

    state: SavedState
    units: dict[Phase, Callable[[], None]]
    """what does a unit of work in each phase"""

    def __init__(self, work: Path, root: Path, settings: Settings, say: Callable[[str], None]) -> None:
        """See `Session` and `PushPractice`, which set the state."""
        self.root, self.settings, self._say = root, settings, say
        self.interrupt: Callable[[], bool] = lambda: False
        """asked between the steps of a long unit of work; True: break it off (`Interrupted`)"""
        self.others: np.ndarray | None = None
        """uint8 [N, S, S, 3], pictures of elsewhere that the VAE is trained on as well; the trainer node may set it"""
        self.text = ""
        """the last message"""
        self.losses: Log = {}
        """of the last unit of work"""
        torch.set_num_threads(1)
        work.mkdir(parents=True, exist_ok=True)
        self.writer = SummaryWriter(work / LOGS)
        self._unit_s = 0.0

    # --- episodes

    @property
    def taken(self) -> set[str]:
        """Names of all episodes that need not be read again, also of those that are of no use."""
        return set(self.notes.taken)

    @abstractmethod
    def take(self, name: str, segments: Sequence[Segment], explored: bool) -> None:
        """Take in a recorded episode; explored: no policy chose its actions."""

    @abstractmethod
    def recall(self, name: str, segments: Sequence[Segment]) -> None:
        """Take in an episode from before this training, as exploration; it must come before all new ones."""

    def refuse(self, name: str, why: str) -> None:
        """Remember that an episode is of no use."""
        self.notes.taken.append(name)
        self.tell(one_line(f"episode {name} is left out: {why}"))
        self.state.save()

    # --- requests

    @abstractmethod
    def fine_tune(self) -> str:
        """Learn to see better as soon as possible, or begin to learn with what there is; return what will be done."""

    @abstractmethod
    def give_up(self) -> str:
        """Give up the present attempt; what was learned before it is kept. Return what was given up."""

    # --- candidates

    @property
    @abstractmethod
    def candidate(self) -> Path | None:
        """The checkpoint that was written and waits for the robot's answer; see `settle`."""

    @abstractmethod
    def settle(self, accepted: bool, why: str = "") -> None:
        """Say whether the robot has accepted the candidate: if so, it is the current checkpoint."""

    @abstractmethod
    def follow_current(self) -> None:
        """Go on from another checkpoint where somebody has made it the current one."""

    def candidate_name(self) -> str:
        """Return a name for a checkpoint of now, which the root does not have yet."""
        stem = name = f"practice-{self.notes.steps:06d}"
        number = 1
        while (self.root / name).exists():
            number += 1
            name = f"{stem}-{number}"
        return name

    def is_trained(self, name: str) -> bool:
        """Return whether a checkpoint has learned anything."""
        return checkpoint.read_config(self.root / name).trained

    def current(self) -> str | None:
        """Return the name of the root's current checkpoint; None where there is no link to one."""
        try:
            return (self.root / CURRENT).readlink().name
        except OSError:
            return None

    # --- units of work

    @abstractmethod
    def due(self) -> bool:
        """Return whether there is something to do."""

    @abstractmethod
    def total(self) -> int:
        """Return the number of steps of the present phase; 0 where it has no steps."""

    def work_once(self) -> bool:
        """Do one unit of work and save the state; return False if there is none to do.

        Raises:
            Interrupted: If it was broken off; the next call does the same unit.
        """
        self.follow_current()
        if not self.due():
            return False
        began, phase, step = time.perf_counter(), self.notes.phase, self.notes.step
        self.units[phase]()
        self.state.save()
        done = self.notes.step - step
        if self.notes.phase != phase:
            self._unit_s = 0.0
        elif done > 0:
            spent = (time.perf_counter() - began) / done
            self._unit_s = 0.8 * self._unit_s + 0.2 * spent if self._unit_s else spent
        return True

    def wants_exploration(self) -> bool:
        """Return whether the robot should go on exploring."""
        return self.notes.phase is Phase.GATHER and not self.due()

    def progress(self) -> Progress:
        """Return what is being done."""
        notes = self.notes
        phase, step, of, text = notes.phase, notes.step, self.total(), self.text
        if phase is Phase.GATHER:
            step, of = notes.explored, notes.wanted
        if not self.due() and phase is not Phase.ANNOUNCE:
            text = f"explored {step} of {of} steps" if phase is Phase.GATHER else text
            phase = Phase.WAITING
        eta = self._unit_s * max(0, of - step)
        explore = Exploration.WANTED if self.wants_exploration() else Exploration.ENOUGH
        return Progress(phase, step, of, self.losses, eta, notes.steps, len(notes.taken), notes.present, explore, text)

    # --- what is said

    @property
    def notes(self) -> Notes:
        """How far learning is."""
        return self.state.notes

    def check_interrupt(self) -> None:
        """Break a long unit of work off where somebody wants to pause or stop.

        Raises:
            Interrupted: If so.
        """
        if self.interrupt():
            raise Interrupted

    def log(self, losses: Log) -> None:
        """Write a unit's losses to TensorBoard, over the robot's steps; before practice, over the phase's units."""
        self.losses = losses
        notes = self.notes
        early = notes.phase in (Phase.SEE, Phase.MODEL, Phase.REHEARSE)
        for name, value in losses.items():
            where = f"{notes.phase}/{name}" if early else name
            self.writer.add_scalar(where, value, notes.step if early else notes.steps)

    def tell(self, text: str) -> None:
        """Send people a message and keep it as the last one."""
        self.text = text
        self._say(text)

    def close(self) -> None:
        """Close the logs."""
        self.writer.close()
