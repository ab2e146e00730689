"""Writes what a learner of pushing has learned from images as a checkpoint."""

import dataclasses
from pathlib import Path

from rig_robot.checkpoints.checkpoint import save
from rig_robot.checkpoints.config import ActionEntry, CameraEntry, WorkspaceEntry
from rig_robot.learning.checkpoint_io import export
from rig_robot.learning.planning.push_learner import PushLearner
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.goal_prior import Prior


def write(
    directory: Path,
    learner: PushLearner,
    robot: tuple[CameraEntry, ActionEntry, WorkspaceEntry],
    training: dict,
    figures: dict,
    parent: str = "",
) -> None:
    """Write what was learned from images as a checkpoint.

    Args:
        directory: The new checkpoint; it must not exist.
        learner: What was learned.
        robot: Camera, action and workspace.
        training: Entries of `training` beside the run's arguments.
        figures: Result of its evaluation.
        parent: Name of the checkpoint that learning went on from.
    """
    assert isinstance(learner.representation, ObjectLatent)
    prior = Prior.fit(learner.replay.latents[: learner.replay.size])
    config = export.config(learner.representation, learner.args, *robot, prior, training, figures)
    pictures = export.known_pictures(learner.representation, learner.replay)
    config = dataclasses.replace(config, pictures=pictures, places=learner.places().entry(), parent=parent)
    actor = {f"actor.{name}": tensor.numpy() for name, tensor in learner.agent.actor.folded().items()}
    save(directory, config, learner.representation.tensors(), actor, export.scene(learner.replay))
