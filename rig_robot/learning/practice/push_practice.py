"""Learning to push on the robot, from episodes as they are recorded, in units of work of a few seconds.

The stages are those of `rig train --task push` (docs/pushing.md). A robot that knows nothing makes straight motions
over the table until there is enough to see. Once the object is found, a checkpoint goes to the robot that only sees:
with it the robot aims its motions at the object. From both explorations follow the final encoder, the model of what
actions do, and a policy; from then on model and policy learn from each recorded step, and every few episodes the policy
is judged and goes to the robot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.learning.checkpoint_io import push_export
from rig_robot.learning.planning.push_learner import UNIT
from rig_robot.learning.practice.acceptance_criteria import Decision
from rig_robot.learning.practice.phases import Phase
from rig_robot.learning.practice.practice_base import Practice
from rig_robot.learning.practice.push_judgement import (
    PushSimulation,
    check_finite,
    check_in_model,
    check_pushing,
    comparable_actor,
)
from rig_robot.learning.practice.push_phases import FIRST, PushPhases
from rig_robot.learning.practice.push_state import PushState
from rig_robot.learning.practice.settings import Settings
from rig_robot.recording.transitions import Segment


class PushPractice(Practice):
    """Takes episodes in, does one unit of work a call, and says how far it is."""

    state: PushState

    def __init__(self, work: Path, root: Path, settings: Settings, say: Callable[[str], None] = print) -> None:
        """Read the state on disk, or begin from the current checkpoint; see `Session`."""
        super().__init__(work, root, settings, say)
        self.state = PushState(work, root, settings)
        if self.state.trouble:
            self.tell(self.state.trouble)
        self._simulation = PushSimulation(settings, self.state.args) if settings.environment else None
        phases = PushPhases(self)
        self.units = {
            Phase.GATHER: phases.gather,
            Phase.SEE: phases.see,
            Phase.MODEL: phases.model,
            Phase.REHEARSE: phases.rehearse,
            Phase.PRACTISE: phases.practise,
            Phase.JUDGE: self._judge,
        }
        waiting = self.candidate
        if waiting is not None and self.current() == waiting.name:
            self.settle(True)  # killed in between
        elif waiting is not None and not waiting.exists():
            self.settle(False, "it is gone")

    # --- episodes

    def take(self, name: str, segments: Sequence[Segment], explored: bool) -> None:
        """Take in a recorded episode; explored: its motions were straight ones, some aimed at the object."""
        notes, learner = self.notes, self.state.learner
        frames, before, episodes = _frames(segments), learner.replay.size, len(learner.replay.first)
        try:
            if frames:
                learner.explored = self.state.experience.add(segments, learner.explored)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        if frames and explored and learner.explored == episodes:
            learner.explored = len(learner.replay.first)
        self._encode_newest(frames)
        notes.taken.append(name)
        notes.used += bool(frames)
        notes.steps += frames  # each of them was acted on
        notes.explored += frames if explored else 0
        if notes.phase in (Phase.PRACTISE, Phase.JUDGE, Phase.ANNOUNCE) and notes.seen > FIRST:
            notes.owed += frames - len(segments)
        if not explored:
            learner.episodes += 1
            notes.count_practised(self.settings.fine_tune_every)
        if learner.replay.size != before + frames:
            self.tell(f"{before + frames - learner.replay.size} of the oldest frames are forgotten")
        self.state.save()

    def recall(self, name: str, segments: Sequence[Segment]) -> None:
        """Take in an episode from before this training, as exploration; it must come before all new ones."""
        notes, learner = self.notes, self.state.learner
        if learner.explored < len(learner.replay.first):
            self.refuse(name, "earlier data come first, and practice was recorded already")
            return
        try:
            self.state.experience.add(segments, learner.explored)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        learner.explored = len(learner.replay.first)
        self._encode_newest(_frames(segments))
        notes.explored += _frames(segments) if notes.phase is Phase.GATHER else 0
        notes.taken.append(name)
        self.state.save()

    def _encode_newest(self, frames: int) -> None:
        replay = self.state.learner.replay
        if frames and self.state.representation.found:
            self.state.encode(slice(replay.size - frames, replay.size))

    # --- requests

    def fine_tune(self) -> str:
        """Learn to see again, from all that was recorded, or begin to learn with what there is."""
        notes, replay = self.notes, self.state.learner.replay
        if notes.phase not in (Phase.GATHER, Phase.PRACTISE):
            return f"{notes.phase} already"
        if not self._enough():
            return f"{len(replay)} recorded steps are too few: {self.state.args.batch} wanted"
        begins = notes.phase is Phase.GATHER
        notes.enter(Phase.SEE)
        self.state.save()
        return "begins to learn with what there is" if begins else "learns to see again"

    def give_up(self) -> str:
        """Give up the updates for recorded steps, or a judgement; from nothing else is there a way back."""
        phase = self.notes.phase
        if phase in (Phase.PRACTISE, Phase.JUDGE):
            self.notes.owed = 0
            self.notes.enter(Phase.PRACTISE)
            self.state.save()
            return phase
        return "nothing"

    # --- candidates

    @property
    def candidate(self) -> Path | None:
        """The checkpoint that was written and waits for the robot's answer; see `settle`."""
        return self.root / self.notes.candidate if self.notes.candidate else None

    def settle(self, accepted: bool, why: str = "") -> None:
        """Make the candidate the present checkpoint if the robot has accepted it; else keep the present one."""
        notes = self.notes
        name, notes.candidate = notes.candidate, ""
        if accepted:
            notes.present = name
            if notes.found.get("mean_mm", np.inf) <= notes.figures.get("mean_mm", np.inf):
                notes.figures = notes.found
            self.tell(f"checkpoint {name} is current: {notes.verdict}")
        else:
            self.tell(f"checkpoint {name} was refused, {notes.present} goes on: {why}")
        if notes.seen == FIRST:
            notes.wanted = notes.explored + self.state.args.seeking_steps
        notes.enter(Phase.GATHER if notes.seen == FIRST else Phase.PRACTISE)
        self.state.save()

    def follow_current(self) -> None:
        """Note that somebody has made another checkpoint the current one; learning goes on from its own networks."""
        notes, current = self.notes, self.current()
        if current is None or current == notes.present or notes.phase is Phase.ANNOUNCE:
            return
        config = read_config(self.root / current)
        notes.present, notes.figures = current, dict(config.figures)
        notes.seen = max(notes.seen, FIRST) if config.trained else notes.seen
        self.tell(f"checkpoint {current} was made the current one: the robot acts by it, learning goes on")

    def write_candidate(self, found: dict) -> None:
        """Write what was learned as a checkpoint to announce; found: its figures."""
        notes, state = self.notes, self.state
        notes.candidate, notes.found = self.candidate_name(), found
        training = {"step": notes.steps - notes.explored, "samples": notes.steps, "acts": notes.seen > FIRST}
        robot = state.config.camera, state.config.action, state.config.workspace
        push_export.write(self.root / notes.candidate, state.learner, robot, training, found, notes.present)
        notes.enter(Phase.ANNOUNCE)

    # --- units of work

    def due(self) -> bool:
        """Return whether there is something to do."""
        notes = self.notes
        if notes.phase is Phase.GATHER:
            return self._enough() and notes.explored >= notes.wanted
        if notes.phase is Phase.PRACTISE:
            return notes.owed > 0 or self.judgement_due()
        return notes.phase is not Phase.ANNOUNCE

    def total(self) -> int:
        """Return the number of steps of the present phase; 0 where it has no steps."""
        args = self.state.args
        totals = {
            Phase.SEE: self.state.representation.units,
            Phase.MODEL: max(1, args.model_updates // UNIT),
            Phase.REHEARSE: max(1, args.rehearsal_updates // UNIT),
            Phase.PRACTISE: self.notes.owed,
        }
        return totals.get(self.notes.phase, 0)

    def _enough(self) -> bool:
        return len(self.state.learner.replay) >= self.state.args.batch

    def judgement_due(self) -> bool:
        """Return whether enough episodes of practice were recorded since the last judgement, and learned from."""
        return self.notes.tuning_due(self.settings.fine_tune_every)

    def _judge(self) -> None:
        """Write the policy as a checkpoint to announce, if it pushes about as well as the best so far."""
        notes = self.notes
        decision = self._decide()
        self.log({f"judge/{name}": float(value) for name, value in decision.figures.items()})
        if decision.accepted:
            notes.verdict = decision.reason
            self.write_candidate(decision.figures)
        else:
            self.tell(f"not published, {notes.present} goes on: {decision.reason}")
            notes.enter(Phase.PRACTISE)

    def _decide(self) -> Decision:
        state, notes = self.state, self.notes
        finite = check_finite(state.learner)
        if not finite.accepted:
            return finite
        if self._simulation is not None:
            return check_pushing(notes.figures, self._simulation.push(state.learner, self.check_interrupt))
        present = comparable_actor(self.root / notes.present, state.learner)
        return check_in_model(present, state.learner, 1000 * state.config.action.scale_m)

    def close(self) -> None:
        """Close the simulation and the logs."""
        super().close()
        if self._simulation is not None:
            self._simulation.close()


def _frames(segments: Sequence[Segment]) -> int:
    return sum(len(segment.images) for segment in segments)
