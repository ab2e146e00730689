"""The phases of learning to push on the robot in which networks learn: one unit of work a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rig_robot.learning.planning.push_learner import FALLEN, UNIT
from rig_robot.learning.practice.phases import Phase

if TYPE_CHECKING:
    from rig_robot.learning.practice.push_practice import PushPractice

FIRST = 1
"""`Notes.seen` while the robot seeks contact with the object by the first encoder that finds it"""


class PushPhases:
    """From exploration to a first policy that pushes, and from recorded steps of practice to a better one."""

    def __init__(self, practice: PushPractice) -> None:
        self._practice = practice

    def gather(self) -> None:
        """End an exploration."""
        self._practice.tell(f"{self._practice.notes.explored} steps were explored: learning to see")
        self._practice.notes.enter(Phase.SEE)

    def see(self) -> None:
        """Learn to see the object; after the last unit look whether there is one."""
        notes, state = self._practice.notes, self._practice.state
        losses = state.learner.see(notes.step, self._rng(Phase.SEE))
        notes.step += 1
        self._practice.log(losses)
        if notes.step < self._practice.total():
            return
        if not state.representation.found:
            self._start_over()
            return
        notes.seen += 1
        if notes.seen == FIRST:
            notes.verdict = "it sees the object, and does not push yet: the robot seeks contact with it"
            self._practice.write_candidate({})
        else:
            notes.enter(Phase.MODEL)

    def _start_over(self) -> None:
        """Begin again with new networks and all recorded frames, once there are half as many frames again."""
        notes, size = self._practice.notes, self._practice.state.learner.replay.size
        notes.wanted = 3 * max(notes.wanted, notes.explored) // 2
        notes.seen = FIRST if self._practice.is_trained(notes.present) else 0
        self._practice.state.start_over()
        notes.enter(Phase.GATHER)
        self._practice.tell(
            f"nothing in {size} pictures moves where the tool pushes it: exploring up to {notes.wanted} steps to begin "
            "anew; look whether the camera sees the object, and whether the tool can push it"
        )

    def model(self) -> None:
        """Fit the model of what actions do to all that was recorded."""
        notes = self._practice.notes
        self._practice.log(self._practice.state.learner.model(self._rng(Phase.MODEL), UNIT))
        notes.step += 1
        if notes.step >= self._practice.total():
            notes.enter(Phase.REHEARSE)

    def rehearse(self) -> None:
        """Learn a policy in the model."""
        notes = self._practice.notes
        self._practice.log(
            self._practice.state.learner.improve(self._rng(Phase.REHEARSE), UNIT, 1.0, anything=notes.step == 0)
        )
        notes.step += 1
        if notes.step >= self._practice.total():
            notes.since_tuned = 0
            notes.enter(Phase.JUDGE)

    def practise(self) -> None:
        """Improve model and policy for the recorded steps, or begin a judgement that is due."""
        notes, args, learner = self._practice.notes, self._practice.state.args, self._practice.state.learner
        if self._practice.judgement_due():
            notes.since_tuned = 0
            notes.enter(Phase.JUDGE)
            return
        rng, count = self._rng(Phase.PRACTISE), min(UNIT, notes.owed)
        updates = count * self._practice.settings.updates
        practised = min(1.0, (notes.steps - notes.explored) / max(1, args.online_steps))
        losses = learner.model(rng, updates * args.episode_model_updates // UNIT)
        losses |= learner.improve(rng, updates * args.updates // UNIT, 1.0 + (FALLEN - 1.0) * practised)
        notes.owed -= count
        notes.updates += count
        self._practice.log(losses)

    def _rng(self, phase: Phase) -> np.random.Generator:
        """Return the randomness of one unit of work, drawn from its numbers alone: a restart repeats it."""
        notes, stage = self._practice.notes, list(Phase).index(phase)
        return np.random.default_rng((self._practice.state.args.seed, stage, notes.seen, notes.step, notes.updates))
