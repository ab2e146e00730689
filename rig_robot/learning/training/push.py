"""Runs `rig train --task push`: learns to push in an environment, with progress, logs, evaluations and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
from torch.utils.tensorboard import SummaryWriter

from rig_robot.checkpoints.checkpoint import activate
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.checkpoint_io import push_export
from rig_robot.learning.planning.push_learner import UNIT, PushLearner, frames
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.latent import UNIT as SEEING_UNIT
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.replay_buffer import map_array
from rig_robot.learning.training import plots
from rig_robot.learning.training.evaluate import EnvFactory, push_figures, roll_out
from rig_robot.learning.training.metrics import push_sentence
from rig_robot.learning.training.run_arguments import CHECKPOINTS, keep_arguments
from rig_robot.learning.training.run_meter import RunMeter
from rig_robot.learning.training.train import (
    EVALUATION_SEED,
    HISTORY,
    LOGS,
    PICTURED_ROLLOUTS,
    PICTURES,
    STATE,
    check_whole,
    close_run,
    complete,
    horizon_of,
    robot_entries,
)
from rig_robot.learning.training.training_state import load_notes, load_state, save_state


def train_push(args: PushArgs, make_env: EnvFactory) -> Path:
    """Run to the end, from the start or from where a killed run stopped; return the file of its history.

    `args.out/history.json` is a list of evaluations, the last one last: `step` (of practice), `samples` (environment
    steps so far, exploration included), `put_back` (how often the object had to be put back until then) and the
    figures of `metrics.push_summary`. It is written when the run is finished.
    """
    return complete(args, make_env, _Run)


class _Run:
    """One run of `rig train --task push` and its directory."""

    def __init__(self, args: PushArgs, env: gymnasium.Env) -> None:
        self.args, self.env = args, env
        self.world: Any = env.unwrapped
        self.horizon = horizon = horizon_of(env)
        for name in ("exploration_steps", "seeking_steps", "online_steps"):
            check_whole(name, getattr(args, name), horizon, "episode", "steps")
        units = {"model_updates": UNIT, "rehearsal_updates": UNIT, "finishing_updates": UNIT}
        for name, unit in (units | {"vae_updates": SEEING_UNIT, "slot_updates": SEEING_UNIT}).items():
            check_whole(name, getattr(args, name), unit, "unit", "updates")
        box, objects = ActionBox.of_environment(self.world), _objects(env)
        fresh: dict[str, Any] = {"history": [], "seconds": 0.0, "cpu_seconds": 0.0, "put_back": 0}
        saved = load_notes(args.out / STATE)
        self.notes = saved or fresh
        keep_arguments(args)
        for name in (STATE, PICTURES):
            (args.out / name).mkdir(parents=True, exist_ok=True)
        shape = (frames(args, horizon), args.image_size, args.image_size, 3)
        self.learner = PushLearner(args, box, objects, horizon, map_array(args.out / STATE / "images.npy", shape))
        if saved:
            load_state(args.out / STATE, self.learner)

    def finish(self) -> None:
        """Do all that is left of the run."""
        args = self.args
        self.meter = RunMeter(self.notes)
        self.log = SummaryWriter(args.out / LOGS, purge_step=self.steps())
        self.put_back = self.world.put_back
        try:
            self.learner.run(self.env, self.report)
        finally:
            self.meter.close()
            self.log.close()
        close_run(args.out, self.notes["history"])
        print(push_sentence(self.notes["history"][-1]))
        if isinstance(self.learner.representation, ObjectLatent):
            print(f"checkpoint: {args.out / CHECKPOINTS / self.name()}; pictures: {args.out / PICTURES}")
        else:
            print(f"history: {args.out / HISTORY}; no checkpoint: no camera sees true positions")

    def name(self) -> str:
        """Return the name of the checkpoint of now; updates after the last step make another one of it."""
        return f"step-{self.steps():06d}" + ("-finished" if self.learner.finished else "")

    def write_checkpoint(self, result: dict) -> None:
        """Write what was learned as a checkpoint, where images are what it was learned from; result: its figures."""
        learner, directory = self.learner, self.args.out / CHECKPOINTS / self.name()
        if not isinstance(learner.representation, ObjectLatent):
            return
        if not directory.exists():  # else it is the same: the run was killed before its state was saved
            training = {"step": self.steps(), "samples": len(learner.replay), "put_back": self.notes["put_back"]}
            push_export.write(directory, learner, robot_entries(self.world, self.args.image_size), training, result)
        activate(directory)

    def steps(self) -> int:
        """Return the number of practice steps done."""
        return self.learner.episodes * self.horizon

    def report(self, log: Log) -> None:
        """Report a unit of work: progress bar, logs, an evaluation where it is due; then save the state."""
        self.notes["put_back"] += self.world.put_back - self.put_back
        stages = self.learner.stages
        stage, done, total, unit = next(entry for entry in reversed(stages) if entry[1])
        self.meter.advance(stage, done, total, unit)
        for name, value in log.items():
            self.log.add_scalar(name if stage == "practise" else f"{stage}/{name}", value, self.steps() or done)
        last = all(done >= total for _, done, total, _ in stages)
        before, now = (steps // self.args.evaluate_every for steps in (self.steps() - self.horizon, self.steps()))
        if last or (stage == "practise" and now > before):
            self.evaluate(self.args.final_goals if last else self.args.evaluation_goals, last)
        self.meter.tick()
        self.put_back = self.world.put_back  # those of the evaluation do not count
        save_state(self.args.out / STATE, self.learner, self.notes)

    def evaluate(self, goals: int, last: bool) -> None:
        """Measure the policy on held-out goals; the last time with plots, which take long."""
        learner = self.learner
        tracker = learner.tracker
        rollouts = roll_out(self.env, tracker.encode, learner.act, goals, EVALUATION_SEED, tracker.track)
        result = push_figures(rollouts)
        self.meter.tick()
        spent = {key: round(self.notes[key], 1) for key in ("seconds", "cpu_seconds")}
        about = {"step": self.steps(), "samples": len(learner.replay), "put_back": self.notes["put_back"]}
        self.notes["history"].append(about | result | spent)
        for key, value in result.items():
            self.log.add_scalar(f"evaluation/{key}", value, self.steps())
        self.write_checkpoint(result)
        if last:
            shown, file = rollouts[:PICTURED_ROLLOUTS], self.args.out / PICTURES / "rollouts.png"
            plots.rollouts(file, shown, self.world.period, of="object")


def _objects(env: gymnasium.Env) -> int:
    """Return how many objects an environment has; its goals are places, two numbers each, of the tool and of them."""
    goal = getattr(env.observation_space, "spaces", {}).get("desired_goal")
    size = goal.shape[0] if goal is not None and len(goal.shape) == 1 else 0
    if size < 4 or size % 2 or not hasattr(env.unwrapped, "put_back"):
        has = "none" if goal is None else f"of shape {goal.shape}"
        raise ValueError(f"env: its goals are {has}, expected places of tool and objects, as RigSawyerPushXY-v0 has")
    return size // 2 - 1
