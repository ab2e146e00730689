"""Learning to reach on the robot: RIG (Algorithm 1) on recorded episodes, in units of work of a second or two.

A robot that knows nothing explores until there is enough to see (lines 1 and 2); from then on every recorded step of
practice is followed by updates of policy and critics (lines 10 to 14), and every few episodes the VAE is fine-tuned,
everything is encoded anew (line 16), and the pair of VAE and policy is refitted, evaluated and written as a checkpoint.
Acting is not done here: other processes practise and record.

After each unit the state on disk is replaced by rename. A killed process goes on from there.

| file | idea |
|---|---|
| `practice_base.py` | what learning to push shares with this: units of work, progress, logs |
| `session.py` | what all parts share: settings, state, evaluation |
| `phases.py` | the phases, and the notes that are kept on disk |
| `episode_intake.py` | recorded episodes, trained on or held out; a view that the VAE does not know |
| `learning_phases.py` | exploring, learning to see, encoding, rehearsing, practising |
| `fine_tuning.py` | fine-tuning and refitting |
| `candidates.py` | what becomes a checkpoint, and what is rolled back |
| `candidate_evaluation.py`, `acceptance_criteria.py` | how good a candidate is, and what is good enough |
| `state.py`, `frame_store.py` | the state on disk |

Learning to push is `push_practice.py`, with files of its own that begin with `push_`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rig_robot.learning.practice.candidates import Candidates
from rig_robot.learning.practice.episode_intake import EpisodeIntake
from rig_robot.learning.practice.fine_tuning import FineTuning
from rig_robot.learning.practice.learning_phases import LearningPhases
from rig_robot.learning.practice.phases import Phase
from rig_robot.learning.practice.practice_base import Interrupted
from rig_robot.learning.practice.session import Session
from rig_robot.learning.practice.settings import Settings
from rig_robot.recording.transitions import Segment

__all__ = ["Interrupted", "Learner"]


class Learner(Session):
    """A session and its parts: takes episodes in, does one unit of work a call, and says how far it is.

    Not thread-safe: one thread calls.
    """

    def __init__(self, work: Path, root: Path, settings: Settings, say: Callable[[str], None] = print) -> None:
        """See `Session`."""
        super().__init__(work, root, settings, say)
        self._intake = EpisodeIntake(self)
        phases, tuning, self._candidates = LearningPhases(self), FineTuning(self), Candidates(self)
        self.units = {
            Phase.GATHER: phases.gather,
            Phase.SEE: phases.see,
            Phase.ENCODE: phases.encode,
            Phase.REHEARSE: phases.rehearse,
            Phase.PRACTISE: phases.practise,
            Phase.TUNE: tuning.tune,
            Phase.REFIT: tuning.refit,
            Phase.JUDGE: self._candidates.evaluate,
        }

    # --- episodes

    def take(self, name: str, segments: Sequence[Segment], explored: bool) -> None:
        """Take in a recorded episode; explored: its actions were random. Every tenth is held out."""
        self._intake.take(name, segments, explored)

    def recall(self, name: str, segments: Sequence[Segment]) -> None:
        """Take in an episode from before this training, as exploration; it must come before all new ones."""
        self._intake.recall(name, segments)

    # --- requests

    def fine_tune(self) -> str:
        """Fine-tune as soon as possible, or begin to learn with what there is; return what will be done."""
        notes = self.notes
        if notes.phase not in (Phase.GATHER, Phase.PRACTISE):
            return f"{notes.phase} already"
        if not self.enough_transitions():
            return f"{len(self.state.rig.replay)} recorded steps are too few: {self.state.args.batch} wanted"
        if notes.phase is Phase.GATHER:
            notes.enter(Phase.SEE)
        else:
            self.attempt_fine_tuning()
        self.state.save()
        return "begins to learn with what there is" if notes.phase is Phase.SEE else "fine-tunes"

    def give_up(self) -> str:
        """Give up the present attempt; what was learned before it is kept. Return what was given up."""
        phase = self.notes.phase
        attempt = phase in (Phase.TUNE, Phase.REFIT, Phase.JUDGE)
        if attempt or (phase is Phase.ENCODE and self.notes.after is Phase.REFIT):
            if self.is_trained(self.notes.present):
                self.roll_back()
        elif phase is Phase.PRACTISE:
            self.notes.owed = 0
        self.state.save()
        return phase

    # --- candidates

    @property
    def candidate(self) -> Path | None:
        """The checkpoint that was written and waits for the robot's answer; see `settle`."""
        return self._candidates.waiting

    def settle(self, accepted: bool, why: str = "") -> None:
        """Say whether the robot has accepted the candidate: if so, it is the current checkpoint."""
        self._candidates.settle(accepted, why)

    def follow_current(self) -> None:
        """Go on from another checkpoint where somebody has made it the current one."""
        self._candidates.follow_current()

    # --- units of work

    def due(self) -> bool:
        """Return whether there is something to do."""
        phase = self.notes.phase
        if phase is Phase.GATHER:
            return self.enough_transitions() and self.notes.explored >= self.notes.wanted
        if phase is Phase.PRACTISE:
            return self.enough_transitions() and (self.notes.owed > 0 or self.tuning_due())
        return phase is not Phase.ANNOUNCE
