"""What all parts of learning to reach on the robot share: settings, the state on disk, and its evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rig_robot.learning.practice.candidate_evaluation import CandidateEvaluation, ReachingSimulation
from rig_robot.learning.practice.phases import Phase
from rig_robot.learning.practice.practice_base import Practice
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.practice.state import State
from rig_robot.learning.representations.latent import UNIT
from rig_robot.learning.rig import REHEARSAL_UNIT

KNOWN_IMAGES = 100
"""Images of an episode by which it is decided whether the VAE knows the view"""


class Session(Practice):
    """Everything that is learned of reaching on the robot, where it is kept, and how it is judged."""

    state: State

    def __init__(self, work: Path, root: Path, settings: Settings, say: Callable[[str], None] = print) -> None:
        """Read the state on disk, or begin from the current checkpoint.

        A state that cannot be read is set aside, and all begins anew from the recorded episodes.

        Args:
            work: Directory of the state.
            root: Directory of checkpoints, with a link `current` to the one to begin with.
            settings: How to learn.
            say: Called with each message for people.

        Raises:
            CheckpointError: If there is no usable current checkpoint.
        """
        super().__init__(work, root, settings, say)
        self.state = State(work, root, settings)
        if self.state.trouble:
            self.tell(self.state.trouble)
        self.simulation: ReachingSimulation | None = None
        """where candidates are evaluated; None: they are evaluated on held-out frames"""
        if settings.environment:
            self.simulation = ReachingSimulation(
                settings.environment, settings.scene, settings.judge_goals, self.state.args
            )

    @property
    def evaluation(self) -> CandidateEvaluation:
        """The evaluation of the networks as they are now."""
        state = self.state
        return CandidateEvaluation(self.root, state.config, state.rig, state.held_out.replay, self.simulation)

    def enough_transitions(self) -> bool:
        """Return whether there are transitions for a batch."""
        return len(self.state.rig.replay) >= self.state.args.batch

    def tuning_due(self) -> bool:
        """Return whether enough episodes were recorded since the last fine-tuning, and learned from."""
        return self.notes.tuning_due(self.settings.fine_tune_every)

    def total(self) -> int:
        """Return the number of steps of the present phase; 0 where it has no steps."""
        args, notes, settings = self.state.args, self.notes, self.settings
        totals = {
            Phase.SEE: max(1, (settings.relearn_updates if notes.relearning else args.vae_updates) // UNIT),
            Phase.ENCODE: self.state.rig.replay.size,
            Phase.REHEARSE: max(1, args.rehearsal_updates // REHEARSAL_UNIT),
            Phase.PRACTISE: notes.owed,
            Phase.TUNE: settings.tune_updates,
            Phase.REFIT: settings.refit_updates,
        }
        return totals.get(notes.phase, 0)

    def practised(self) -> float:
        """Return how far the learning rates have fallen: 0 at the beginning, 1 at the end."""
        args = self.state.args
        return min(1.0, self.notes.updates / (args.rehearsal_updates + args.online_steps * args.updates))

    def rng(self, phase: Phase) -> np.random.Generator:
        """Return the randomness of one unit of work, drawn from its numbers alone: a restart repeats it."""
        notes = self.notes
        stage = list(Phase).index(phase)
        return np.random.default_rng((self.state.args.seed, stage, notes.tunings, notes.step, notes.updates))

    def attempt_fine_tuning(self) -> None:
        """Begin a fine-tuning, from which `roll_back` leads back."""
        self.notes.since_tuned = 0
        self.notes.tunings += 1
        self.state.save_fallback()
        self.notes.enter(Phase.TUNE)

    def roll_back(self) -> None:
        """Restore the networks from before the present attempt."""
        self.state.restore_fallback()
        self.notes.enter(Phase.ENCODE, after=Phase.PRACTISE)

    def close(self) -> None:
        """Close the simulation and the logs."""
        super().close()
        if self.simulation is not None:
            self.simulation.close()
