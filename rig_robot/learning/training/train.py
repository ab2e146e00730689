"""Runs `rig train` and `rig explore`: RIG in an environment, with progress, logs, checkpoints and plots."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from rig_robot.checkpoints.checkpoint import activate, save
from rig_robot.checkpoints.config import ActionEntry, CameraEntry, CheckpointConfig, WorkspaceEntry
from rig_robot.common.malloc_tuning import keep_large_blocks
from rig_robot.common.output_paths import check_folder
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import ExploreArgs, TrainArgs
from rig_robot.learning.checkpoint_io import export
from rig_robot.learning.checkpoint_io.export import plain
from rig_robot.learning.representation_registry import REPRESENTATIONS
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.latent import UNIT, Latent
from rig_robot.learning.rig import EXPLORE, REHEARSAL_UNIT, Rig, explore, frames
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer, load_recorded, map_array
from rig_robot.learning.training import plots
from rig_robot.learning.training.evaluate import EnvFactory, Rollout, figures, roll_out, sentence
from rig_robot.learning.training.run_arguments import CHECKPOINTS, FORMERLY, check_arguments, keep_arguments
from rig_robot.learning.training.run_meter import RunMeter
from rig_robot.learning.training.training_state import load_notes, load_state, save_state

STATE, PICTURES, LOGS = "state", "pictures", "tensorboard"
HISTORY, ROLLOUTS = "history.json", "rollouts.npz"
EVALUATION_SEED = 0
"""Seed of the goals: `rig eval` with its default seed and as many goals gives the figures that training printed"""
PICTURED_ROLLOUTS = 6
VALUE_CELLS = (15, 20)
"""cells of the picture of values, along x and y"""


def train(args: TrainArgs, make_env: EnvFactory) -> Path:
    """Run to the end, from the start or from where a killed run stopped; return the file of its history.

    `args.out/history.json` is a list of evaluations, the last one last: `step` (of practice), `samples` (environment
    steps so far, exploration included) and the figures of `figures.summary`. It is written when the run is finished.
    """
    return complete(args, make_env, _Run)


class Run(Protocol):
    """A training in an environment and its directory."""

    def finish(self) -> None:
        """Do all that is left, and write the history."""


def complete(args: Any, make_env: EnvFactory, begin: Callable[[Any, gymnasium.Env], Run]) -> Path:
    """Finish a run unless it is finished already; return the file of its history.

    begin: makes the run, from its arguments and the environment that they name.
    """
    history: Path = args.out / HISTORY
    check_arguments(args)
    if history.exists():
        print(f"finished already: {history}")
        return history
    for name in ("", CHECKPOINTS, STATE, PICTURES, LOGS):
        check_folder("out", args.out / name)
    torch.set_num_threads(args.threads)
    keep_large_blocks()
    env = make_env(args.env, image_size=args.image_size, action_delay=args.action_delay, scene=args.scene)
    try:
        begin(args, env).finish()
    finally:
        env.close()
    return history


def close_run(out: Path, history: list[dict]) -> None:
    """Write the history of a run that has come to its end, and remove its state."""
    (out / f".{HISTORY}").write_text(json.dumps(history, indent=1) + "\n")
    (out / f".{HISTORY}").rename(out / HISTORY)
    shutil.rmtree(out / STATE)


def record(args: ExploreArgs, make_env: EnvFactory) -> None:
    """Record whole episodes of sticky random actions to `args.out` (`rig explore`)."""
    if args.out.exists():
        raise ValueError(f"out is {args.out}, which exists already: name a new directory for the buffer")
    check_folder("out", args.out)
    env = make_env(args.env, image_size=args.image_size, action_delay=args.action_delay, scene=args.scene)
    horizon, (action_size,) = _reaching_horizon(env), env.action_space.shape or ()
    check_whole("steps", args.steps, horizon, "episode", "steps")
    episodes = args.steps // horizon
    room = episodes * (horizon + 1)
    images = np.zeros((room, args.image_size, args.image_size, 3), np.uint8)
    replay = ReplayBuffer(room, 1, action_size, images)
    for episode in tqdm(range(episodes), desc="explore", unit="episode"):
        explore(env, replay, args.sticky, horizon, np.random.default_rng((args.seed, EXPLORE, episode)))
    env.close()
    replay.save(args.out, {"env": args.env, "scene": args.scene, "action_delay": args.action_delay, "seed": args.seed})
    print(f"{len(replay)} steps: {args.out}")


class _Run:
    """One run of `rig train` and its directory."""

    def __init__(self, args: TrainArgs, env: gymnasium.Env) -> None:
        given = args
        self.horizon = horizon = _reaching_horizon(env)
        (action_size,) = env.action_space.shape or ()
        recorded = load_recorded(args.offline)[0] if args.offline else None
        if recorded:
            steps, shapes = len(recorded["actions"]) - len(recorded["first"]), _shapes(args, action_size)
            for name, shape in shapes.items():
                if recorded[name].shape[1:] != shape:
                    raise ValueError(f"{args.offline}: {name} are {recorded[name].shape[1:]}, expected {shape}")
            args = dataclasses.replace(args, exploration_steps=steps)
        for name in ("online_steps",) if recorded else ("online_steps", "exploration_steps"):
            check_whole(name, getattr(args, name), horizon, "episode", "steps")
        check_whole("rehearsal_updates", args.rehearsal_updates, REHEARSAL_UNIT, "unit", "updates")
        if REPRESENTATIONS[args.representation].has_vae:
            check_whole("vae_updates", args.vae_updates, UNIT, "unit", "updates")
        self.args, self.env = args, env
        self.world: Any = env.unwrapped
        # The clocks go on from where a kill stopped them.
        fresh: dict[str, Any] = {"args": plain(args), "history": [], "seconds": 0.0, "cpu_seconds": 0.0}
        saved = load_notes(args.out / STATE)
        self.notes = saved or fresh
        # For an argument that did not exist yet when the run began, the run had, in effect, its default, but for some.
        kept = plain(TrainArgs(out=args.out)) | FORMERLY | self.notes["args"]
        changed = {name: value for name, value in plain(args).items() if kept[name] != value}
        if changed:
            was = ", ".join(f"{name} {kept[name]}, not {value}" for name, value in changed.items())
            raise ValueError(f"{args.out} holds an unfinished run with {was}: give the same, or another directory")
        keep_arguments(given)
        for name in (STATE, PICTURES, CHECKPOINTS):
            (args.out / name).mkdir(parents=True, exist_ok=True)
        room = len(recorded["actions"]) if recorded else frames(args, horizon)
        shape = (room, args.image_size, args.image_size, 3)
        self.rig = Rig(
            args, ActionBox.of_environment(self.world), horizon, map_array(args.out / STATE / "images.npy", shape)
        )
        if saved:
            load_state(args.out / STATE, self.rig)
        elif recorded:
            self.rig.replay.extend(recorded)
            self.rig.explored = args.exploration_steps // horizon

    def finish(self) -> None:
        """Do all that is left of the run."""
        args = self.args
        self.meter = RunMeter(self.notes)
        self.log = SummaryWriter(args.out / LOGS, purge_step=self.steps())
        try:
            self.rig.run(self.env, self.report)
        finally:
            self.meter.close()
            self.log.close()
        close_run(args.out, self.notes["history"])
        print(sentence(self.notes["history"][-1]))
        if self.rig.representation.deployable:
            drawn = f"; pictures: {args.out / PICTURES}" if args.pictures else ""
            print(f"checkpoint: {args.out / CHECKPOINTS / _name(self.steps())}{drawn}")
        else:
            print(f"history: {args.out / HISTORY}; no checkpoint: robots act on latents of a plain VAE")

    def steps(self) -> int:
        """Return the number of practice steps done."""
        return self.rig.episodes * self.horizon

    def report(self, log: Log) -> None:
        """Report a unit of work: progress bar, logs, an evaluation where it is due; then save the state."""
        rig, args, horizon = self.rig, self.args, self.horizon
        stages = (
            ("practise", rig.episodes, args.online_steps // horizon, "episode"),
            ("rehearse", rig.rehearsed, args.rehearsal_updates // REHEARSAL_UNIT, "unit"),
            ("learn to see", rig.seen, rig.representation.units, "unit"),
            ("explore", rig.explored, args.exploration_steps // horizon, "episode"),
        )
        stage, done, total, unit = next(entry for entry in stages if entry[1])
        self.meter.advance(stage, done, total, unit)
        for name, value in log.items():
            self.log.add_scalar(name if stage == "practise" else f"{stage}/{name}", value, self.steps() or done)

        last = all(done >= total for _, done, total, _ in stages)
        if stage == "practise":
            before, now = (rig.episodes - 1) * horizon // args.evaluate_every, self.steps() // args.evaluate_every
        else:
            before = now = 0
        if last or now > before:
            self.evaluate(args.final_goals if last else args.evaluation_goals, last)
        self.meter.tick()
        save_state(args.out / STATE, rig, self.notes)

    def evaluate(self, goals: int, last: bool) -> None:
        """Measure the policy on held-out goals and write a checkpoint; the last time with plots, which take long."""
        rig, out = self.rig, self.args.out
        rollouts = roll_out(self.env, rig.encode, rig.act, goals, EVALUATION_SEED)
        result = {key: value for key, value in figures(rollouts, self.world.period).items() if key != "each"}
        samples = len(rig.replay)
        self.meter.tick()
        spent = {key: round(self.notes[key], 1) for key in ("seconds", "cpu_seconds")}
        self.notes["history"].append({"step": self.steps(), "samples": samples, **result, **spent})
        for key, value in result.items():
            self.log.add_scalar(f"evaluation/{key}", value, self.steps())
        if last and self.args.pictures:
            self.draw(rollouts)
        arrays: dict[str, Any] = {
            name: np.stack([getattr(rollout, name) for rollout in rollouts]) for name in ("start", "goal", "end")
        }
        distances = 1000 * np.stack([rollout.distances for rollout in rollouts])
        np.savez_compressed(out / ROLLOUTS, **arrays, first_mm=distances[:, 0], last_mm=distances[:, -1])
        if isinstance(rig.representation, Latent) and rig.representation.deployable:
            directory = out / CHECKPOINTS / _name(self.steps())
            if not directory.exists():  # it exists, the same, where the run was killed before the state was saved
                parts = export.tensors(rig.representation, rig.td3)
                known = export.known_pictures(rig.representation, rig.replay)
                config = dataclasses.replace(self.config(result), pictures=known)
                save(directory, config, *parts, export.scene(rig.replay))
            activate(directory)
        self.meter.tick()

    def draw(self, rollouts: list[Rollout]) -> None:
        """Plot how the policy improved and where it ends, and what the VAE reconstructs and imagines."""
        rig, directory = self.rig, self.args.out / PICTURES
        plots.learning_curve(directory / "learning_curve.png", self.notes["history"])
        plots.rollouts(directory / "rollouts.png", rollouts[:PICTURED_ROLLOUTS], self.world.period)
        self.draw_values()
        representation = rig.representation
        if not isinstance(representation, Latent):
            return
        rng = np.random.default_rng(self.args.seed)
        chosen = rig.replay.frames(rng.integers(rig.replay.size, size=2 * plots.COLUMNS))
        plots.reconstructions(directory / "reconstructions.png", representation, chosen)
        plots.imagined_goals(
            directory / "imagined_goals.png", representation, rig.prior, rig.replay.images[rig.replay.first[-1]], rng
        )

    def draw_values(self) -> None:
        """Plot V(s, g) and Q(s, pi(s, g), g) over the table for four goals, with the arm at rest at each place."""
        low, high = (bound[:2] for bound in (self.world.workspace_low, self.world.workspace_high))
        edges = tuple(np.linspace(low[i], high[i], VALUE_CELLS[i] + 1) for i in range(2))
        centres = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
        places = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1).reshape(-1, 2)
        goals = low + (high - low) * np.array([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.6, 0.6]])
        height = (self.world.workspace_low[2] + self.world.workspace_high[2]) / 2
        where = np.c_[np.concatenate((places, goals)), np.full(len(places) + len(goals), height)]
        images = np.stack([self.world.render_goal(position) for position in where])
        scene = np.repeat(images[:1], len(images), axis=0)
        latents = torch.from_numpy(self.rig.representation.encode(Frames(images, where.astype(np.float32), scene)))
        seen, td3 = latents[: len(places)], self.rig.td3
        learnt: dict[str, list[np.ndarray]] = {"V(s, g)": [], "Q(s, pi(s, g), g)": []}
        with torch.inference_mode():
            for goal in latents[len(places) :].unsqueeze(1).expand(-1, len(places), -1):
                action = td3.actor(seen, goal)
                (q,) = td3.values(td3.critics[:1], seen, action, goal, td3.aim(seen, action))
                for values, name in zip((td3.value(seen, goal), q), learnt, strict=True):
                    learnt[name].append(values.numpy())
        stacked = {name: np.stack(values) for name, values in learnt.items()}
        plots.values(self.args.out / PICTURES / "values.png", places, goals, stacked, edges)

    def config(self, result: dict) -> CheckpointConfig:
        """Return the configuration of a checkpoint; result: its figures."""
        training = {"step": self.steps(), "samples": len(self.rig.replay)}
        training |= {key: round(self.notes[key], 1) for key in ("seconds", "cpu_seconds")}
        assert isinstance(self.rig.representation, Latent)  # no other is deployable
        return export.config(
            self.rig.representation,
            self.args,
            *robot_entries(self.world, self.args.image_size),
            self.rig.prior,
            training,
            result,
        )


def robot_entries(world: Any, image_size: int) -> tuple[CameraEntry, ActionEntry, WorkspaceEntry]:
    """Return what a checkpoint says of the robot of an environment (`gymnasium.Env.unwrapped`)."""
    low, high = world.workspace_low.tolist(), world.workspace_high.tolist()
    width, height = world.camera_size
    w, x, y, z = (float(part) for part in world.tool_orientation)
    action = ActionEntry(
        axes=tuple(world.axes),
        scale_m=world.action_scale,
        period_s=world.period,
        fixed={axis: low["xyz".index(axis)] for axis in "xyz" if axis not in world.axes},
        tool_orientation=(w, x, y, z),
    )
    camera = CameraEntry(width, height, tuple(world.crop), image_size)
    return camera, action, WorkspaceEntry(tuple(low), tuple(high))


def horizon_of(env: gymnasium.Env) -> int:
    horizon = env.spec.max_episode_steps if env.spec else None
    if env.spec is None or not horizon:
        raise ValueError(f"{env} has no max_episode_steps: RIG learns from episodes of a known length")
    return horizon


def _reaching_horizon(env: gymnasium.Env) -> int:
    horizon = horizon_of(env)
    known = getattr(env.observation_space, "spaces", {}).get("observation")
    if known is None or known.shape != (3,):
        has = "none" if known is None else f"of shape {known.shape}"
        raise ValueError(
            f"env: {env.spec and env.spec.id} has an `observation` {has}, expected (3,); to push, give --task push"
        )
    return horizon


def check_whole(name: str, value: int, unit: int, what: str, of: str) -> None:
    """Reject a number of steps or updates that is not a multiple of `unit`: a part of it would not be done."""
    if 0 < value < unit:
        raise ValueError(f"{name} is {value}, expected at least one {what} of {unit} {of}")
    if value < 0 or value % unit:
        near = " or ".join(str(unit * count) for count in (value // unit, value // unit + 1) if count > 0)
        raise ValueError(f"{name} is {value}, expected whole {what}s of {unit} {of}: {near}")


def _shapes(args: TrainArgs, action_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a frame of a recorded buffer must have, by array."""
    return {"images": (args.image_size, args.image_size, 3), "actions": (action_size,), "states": (3,)}


def _name(steps: int) -> str:
    return f"step-{steps:06d}"
