"""`rig train`: a run of RIG in an environment, with its progress, logs, checkpoints and pictures."""

import dataclasses
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from rig_robot.learning import pictures
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.checkpoint import (
    ActionEntry,
    CameraEntry,
    CheckpointConfig,
    PolicyEntry,
    PriorEntry,
    VaeEntry,
    WorkspaceEntry,
    activate,
    save,
)
from rig_robot.learning.evaluate import EnvFactory, Rollout, figures, roll_out, sentence
from rig_robot.learning.replay_buffer import map_images
from rig_robot.learning.rig import Log, Rig, frames
from rig_robot.learning.run_state import load_notes, load_state, save_state

CHECKPOINTS, STATE, PICTURES, LOGS = "checkpoints", "state", "pictures", "tensorboard"
EVALUATION_SEED = 0
"""`rig eval` with its default seed and as many goals gives the figures that training printed."""
PICTURED_ROLLOUTS = 6


def train(args: TrainArgs, make_env: EnvFactory) -> Path:
    """Run to the end, from the start or from where a killed run stopped; returns the last checkpoint."""
    torch.set_num_threads(args.threads)
    env = make_env(args.env, image_size=args.image_size, action_delay=args.action_delay)
    try:
        return _Run(args, env).finish()
    finally:
        env.close()


class _Run:
    """One run and its directory."""

    def __init__(self, args: TrainArgs, env: gymnasium.Env) -> None:
        horizon = env.spec.max_episode_steps if env.spec else None
        if not horizon:
            raise ValueError(f"{args.env} has no max_episode_steps: RIG learns from episodes of a known length")
        for name in ("exploration_steps", "online_steps"):
            if getattr(args, name) < horizon:
                raise ValueError(f"{name} is {getattr(args, name)}, expected at least one episode of {horizon} steps")
        self.args, self.env, self.horizon = args, env, horizon
        self.world: Any = env.unwrapped
        self.last_checkpoint = args.out / CHECKPOINTS / _name(args.online_steps // horizon * horizon)
        if self.last_checkpoint.exists():
            return
        # The clocks go on from where a kill stopped them.
        fresh: dict[str, Any] = {"args": _plain(args), "history": [], "seconds": 0.0, "cpu_seconds": 0.0}
        saved = load_notes(args.out / STATE)
        self.notes = saved or fresh
        changed = [name for name, value in _plain(args).items() if self.notes["args"].get(name) != value]
        if changed:
            was = ", ".join(f"{name} {self.notes['args'].get(name)}" for name in changed)
            raise ValueError(f"{args.out} holds an unfinished run with {was}: give the same, or another directory")
        for name in (STATE, PICTURES, CHECKPOINTS):
            (args.out / name).mkdir(parents=True, exist_ok=True)
        images = map_images(args.out / STATE / "images.npy", frames(args, horizon), args.image_size)
        (action_size,) = env.action_space.shape or ()
        self.rig = Rig(args, action_size, horizon, images)
        if saved:
            load_state(args.out / STATE, self.rig)

    def finish(self) -> Path:
        """Everything that is left to do."""
        if self.last_checkpoint.exists():
            print(f"finished already: {self.last_checkpoint}")
            return self.last_checkpoint
        self.clocks = time.perf_counter(), time.process_time()
        self.log = SummaryWriter(self.args.out / LOGS, purge_step=self.steps())
        self.bar: tqdm | None = None
        self.rig.run(self.env, self.report)
        self.log.close()
        shutil.rmtree(self.args.out / STATE)
        print(sentence(self.notes["history"][-1]))
        print(f"checkpoint: {self.last_checkpoint}; pictures: {self.args.out / PICTURES}")
        return self.last_checkpoint

    def steps(self) -> int:
        """Practice steps done."""
        return self.rig.episodes * self.horizon

    def report(self, log: Log) -> None:
        """After every episode and every pass: progress, logs, what is due at this step, then the state."""
        rig, args = self.rig, self.args
        exploring, passing = not rig.vae_epochs, not rig.episodes
        if exploring:
            self.advance("explore", rig.explored, args.exploration_steps // self.horizon, "episode")
        elif passing:
            self.advance("train VAE", rig.vae_epochs, args.vae_epochs, "pass")
        else:
            self.advance("practise", rig.episodes, args.online_steps // self.horizon, "episode")
        for name, value in log.items():
            self.log.add_scalar(f"first_{name}" if passing else name, value, self.steps() or rig.vae_epochs)

        last = rig.episodes == args.online_steps // self.horizon
        if not exploring and not passing:
            before, now = (rig.episodes - 1) * self.horizon // args.evaluate_every, self.steps() // args.evaluate_every
            if last or now > before:
                self.evaluate(args.final_goals if last else args.evaluation_goals)
        self.tick()
        save_state(args.out / STATE, rig, self.notes)

    def evaluate(self, goals: int) -> None:
        """Measure the policy on held-out goals; write a checkpoint and the pictures."""
        rollouts = roll_out(self.env, self.rig.encode, self.rig.act, goals, EVALUATION_SEED)
        result = {key: value for key, value in figures(rollouts, self.world.period).items() if key != "each"}
        self.notes["history"].append({"step": self.steps(), **result})
        for key, value in result.items():
            self.log.add_scalar(f"evaluation/{key}", value, self.steps())
        self.draw(rollouts)
        self.tick()
        directory = self.args.out / CHECKPOINTS / _name(self.steps())
        if not directory.exists():  # it does when a kill came between it and the saving of the state: the same one
            save(directory, self.config(result), *self.tensors())
        activate(directory)

    def draw(self, rollouts: list[Rollout]) -> None:
        rig, directory = self.rig, self.args.out / PICTURES
        rng = np.random.default_rng(self.args.seed)
        chosen = rig.replay.images[rng.integers(rig.replay.size, size=2 * pictures.COLUMNS)]
        pictures.reconstructions(directory / "reconstructions.png", rig.vae, chosen)
        pictures.imagined_goals(directory / "imagined_goals.png", rig.vae, rig.prior, rng)
        pictures.learning_curve(directory / "learning_curve.png", self.notes["history"])
        pictures.rollouts(directory / "rollouts.png", rollouts[:PICTURED_ROLLOUTS], self.world.period)

    def tensors(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Those of vae.safetensors and of policy.safetensors (actor, and what goes with it to learn on)."""
        vae = {name: tensor.numpy() for name, tensor in self.rig.vae.state_dict().items()}
        policy = {
            name: tensor.numpy()
            for name, tensor in self.rig.td3.state_dict().items()
            if name.startswith(("actor.", "critics.", "predictor."))
        }
        return vae, policy

    def config(self, result: dict) -> CheckpointConfig:
        args, world, prior = self.args, self.world, self.rig.prior
        low, high = world.workspace_low.tolist(), world.workspace_high.tolist()
        width, height = world.camera_size
        w, x, y, z = (float(part) for part in world.tool_orientation)
        return CheckpointConfig(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=args.seed,
            vae=VaeEntry(args.latent_size, args.channels),
            policy=PolicyEntry(args.hidden),
            camera=CameraEntry(width, height, tuple(world.crop), args.image_size),
            action=ActionEntry(
                axes=tuple(world.axes),
                scale_m=world.action_scale,
                period_s=world.period,
                fixed={axis: low["xyz".index(axis)] for axis in "xyz" if axis not in world.axes},
                tool_orientation=(w, x, y, z),
            ),
            workspace=WorkspaceEntry(tuple(low), tuple(high)),
            latent_prior=PriorEntry(tuple(prior.mean.tolist()), tuple(tuple(row) for row in prior.covariance.tolist())),
            training=_plain(args)
            | {"step": self.steps(), "exploration_images": len(self.rig.explored_images())}
            | {key: round(self.notes[key], 1) for key in ("seconds", "cpu_seconds")},
            figures=result,
        )

    def advance(self, stage: str, done: int, total: int, unit: str) -> None:
        if self.bar is None or self.bar.desc != stage:
            if self.bar is not None:
                self.bar.close()
            self.bar = tqdm(desc=stage, total=total, initial=done - 1, unit=unit)
        self.bar.update(done - self.bar.n)
        if self.notes["history"]:
            self.bar.set_postfix_str(f"{self.notes['history'][-1]['mean_mm']:.0f} mm")

    def tick(self) -> None:
        """Add the time since the last call to what the run has taken."""
        now = time.perf_counter(), time.process_time()
        for key, before, after in zip(("seconds", "cpu_seconds"), self.clocks, now, strict=True):
            self.notes[key] += after - before
        self.clocks = now


def _name(steps: int) -> str:
    return f"step-{steps:06d}"


def _plain(args: TrainArgs) -> dict[str, Any]:
    """The arguments as JSON holds them, without the directory."""
    fields = {name: value for name, value in dataclasses.asdict(args).items() if name != "out"}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
