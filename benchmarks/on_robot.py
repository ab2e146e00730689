"""Learning as on a robot, without ROS: episodes go to the learner as the recorder would have given them.

    python benchmarks/on_robot.py --steps 5000
    python benchmarks/on_robot.py --steps 1000 --scene shifted --checkpoint rig_robot/models/sawyer_reach_xy

The first from nothing; the second with what was learned in a view that is not there any more.

The arm is never put anywhere: each episode begins where the last one ended. After every published checkpoint the policy
is measured on held-out goals. The last line is one JSON object.
"""

import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro

import rig_sim  # noqa: F401  registers the environments
from rig_robot.checkpoints.checkpoint import activate, read_config, resolve
from rig_robot.checkpoints.config import ActionEntry, CameraEntry, WorkspaceEntry
from rig_robot.common.scene_names import SceneName
from rig_robot.inference.exploration import Explorer
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.checkpoint_io import untrained as blank
from rig_robot.learning.methods import MORE_UPDATES, preset
from rig_robot.learning.practice.learner import Learner
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.training.evaluate import figures, roll_out
from rig_robot.recording.transitions import Segment

STICKY, EPISODE = 10, 50
NOISE, EPSILON = 0.2, 0.2


@dataclass
class Args:
    steps: int = 5_000
    """Robot steps in all."""
    goals: int = 30
    """Held-out goals after each checkpoint, and at the end."""
    checkpoint: Path | None = None
    """Checkpoint to begin with."""
    scene: SceneName = "plain"
    """What the camera sees beside the arm."""
    seed: int = 0
    """Of the robot's actions and of the networks."""
    out: Path | None = None
    """Directory to keep; one that is there is gone on from."""
    settings: Settings = field(default_factory=Settings)
    """How the learner learns."""


def entries(env: gymnasium.Env) -> tuple[CameraEntry, ActionEntry, WorkspaceEntry]:
    """What a checkpoint says of the simulated robot."""
    world: Any = env.unwrapped
    low, high = world.workspace_low.tolist(), world.workspace_high.tolist()
    w, x, y, z = (float(part) for part in world.tool_orientation)
    action = ActionEntry(tuple(world.axes), world.action_scale, world.period, {"z": low[2]}, (w, x, y, z))
    camera = CameraEntry(*world.camera_size, tuple(world.crop), world.image_size)
    return camera, action, WorkspaceEntry(tuple(low), tuple(high))


class Robot:
    """The simulated arm, with the noise of practice; what it does comes back as segments."""

    def __init__(self, env: gymnasium.Env, seed: int) -> None:
        self.env, self.world = env, env.unwrapped
        self.rng = np.random.default_rng(seed)
        self.here = (self.world.workspace_low + self.world.workspace_high) / 2
        self.explorer = Explorer(*entries(env)[1:], STICKY, self.rng)

    def episode(self, act: Any) -> Segment:
        """One episode of `act(image) -> action`, from where the arm is."""
        low, high = self.world.workspace_low, self.world.workspace_high
        start = np.clip(self.here, low, high)
        observation = self.env.reset(seed=int(self.rng.integers(2**30)), options={"start": start})[0]
        images, actions, positions = [], [], []
        for _ in range(EPISODE):
            images.append(observation["image"])
            positions.append(observation["observation"])
            self.here = observation["observation"]
            actions.append(act(observation["image"]))
            observation = self.env.step(actions[-1])[0]
        # The frame that the last action led to was acted on by nobody: it is in no transition.
        return Segment(
            np.stack(images),
            np.array(actions[:-1], np.float32),
            np.array(positions, np.float32),
            np.arange(EPISODE, dtype=np.int64),
            None,
        )

    def explore(self) -> Segment:
        """As the policy node explores."""
        return self.episode(lambda _: self.explorer.act(self.here))

    def practise(self, checkpoint: Path) -> Segment:
        """An imagined goal, with noise."""
        encoder, policy = Encoder(checkpoint), Policy(checkpoint)
        goal = encoder.imagine(self.rng)

        def act(image: np.ndarray) -> np.ndarray:
            if self.rng.random() < EPSILON:
                return self.rng.uniform(-1, 1, len(self.world.axes))
            action = policy.act(encoder.encode(image)[0], goal)
            return np.clip(action + self.rng.normal(0, NOISE, len(action)), -1, 1)

        return self.episode(act)


def work(learner: Learner, longest: dict[str, float]) -> None:
    """All that is due; each unit's time goes to `longest`, by phase."""
    while learner.due() or learner.candidate:
        if learner.candidate is not None:
            activate(learner.candidate)
            learner.settle(True)
            continue
        phase, began = learner.progress().phase, time.perf_counter()
        learner.work_once()
        longest[phase] = max(longest.get(phase, 0.0), time.perf_counter() - began)


def evaluate(env: gymnasium.Env, checkpoint: Path, goals: int) -> dict[str, Any]:
    """The figures of `rig eval`."""
    encoder, policy = Encoder(checkpoint), Policy(checkpoint)
    world: Any = env.unwrapped
    rollouts = roll_out(env, lambda seen, _: encoder.encode(seen["image"])[0], policy.act, goals, 0)
    return {name: value for name, value in figures(rollouts, world.period).items() if name != "each"}


def main(args: Args) -> None:
    out = args.out or Path(tempfile.mkdtemp(prefix="on_robot-"))
    train_args = preset("rig", out=out, seed=args.seed, **MORE_UPDATES)
    env = gymnasium.make(train_args.env, action_delay=train_args.action_delay, scene=args.scene)
    root = out / "checkpoints"
    if not (root / "current").exists() and args.checkpoint is not None:
        shutil.copytree(resolve(args.checkpoint), root / "begin")
        activate(root / "begin")
    elif not (root / "current").exists():
        activate(blank.create(root / "untrained", *entries(env), train_args))
    learner = Learner(out / "trainer", root, args.settings)
    robot, curve, longest = Robot(env, args.seed), [], {}
    measured, began = (root / "current").resolve().name, time.perf_counter()
    if args.checkpoint is not None:
        found = evaluate(env, root / "begin", args.goals)
        curve.append({"steps": 0, "checkpoint": "begin", **found})
        print(f"to begin with: median {found['median_mm']} mm, mean {found['mean_mm']}", flush=True)
    for number in range(len(learner.taken), args.steps // EPISODE):
        current = (root / "current").resolve()
        explored = learner.progress().explore == "wanted"
        segment = robot.explore() if explored else robot.practise(current)
        learner.take(f"{number:06d}", [segment], explored)
        work(learner, longest)
        current = (root / "current").resolve()
        if current.name != measured and read_config(current).training["samples"]:
            measured = current.name
            found = evaluate(env, current, args.goals)
            curve.append({"steps": (number + 1) * EPISODE, "checkpoint": measured, **found})
            print(
                f"{curve[-1]['steps']} steps, {time.perf_counter() - began:.0f} s: median {found['median_mm']} mm, "
                f"mean {found['mean_mm']}, 90th percentile {found['p90_mm']}",
                flush=True,
            )
    learner.close()
    print("longest unit of work [s]: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in longest.items()))
    if not curve:
        raise SystemExit(f"in {args.steps} steps, no checkpoint was published: take more")
    print(json.dumps({"robot_steps": args.steps, **curve[-1], "curve": curve}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
