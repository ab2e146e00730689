"""Which goal pictures does the VAE know? In simulation: the task's own goals, and what people send by mistake.

    python benchmarks/goal_check.py [--goals 1000]

Each row is one kind of picture: how many times more the VAE misses of it than of its own data (smallest, median,
largest), and what becomes of it. The first rows must be 0 % unknown and 0 % grey. Ends with JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np
import tyro

import rig_sim  # noqa: F401  (registers the environment)
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.common.package_files import locate
from rig_robot.common.scene_names import SceneName
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.vision.goal_check import GoalCheck, pictures_entry
from rig_robot.vision.observation import Crop, prepare_goal
from rig_sim.scenes import apply_look, draw, look_of
from rig_sim.world import WORKSPACE_HIGH, WORKSPACE_LOW


@dataclass
class Args:
    """What to measure."""

    checkpoint: str = SHIPPED_CHECKPOINT
    """whose VAE; one of the task RigSawyerReachXY-v0, trained on its plain scene"""
    goals: int = 1000
    """pictures of the task's own kinds; a tenth of that of each other kind"""


class Pictures:
    """Goal pictures of the simulated task, and others."""

    def __init__(self, size: int) -> None:
        self.env: Any = gymnasium.make("RigSawyerReachXY-v0", image_size=size).unwrapped
        self.env.reset(seed=0)
        self.rng = np.random.default_rng(1)
        self.plain = look_of(self.env.world.model)

    def at(self, count: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """The arm at rest at random places: uint8 [N, S, S, 3]."""
        return np.stack([self.env.render_goal(place) for place in self.rng.uniform(low, high, (count, 3))])

    def goals(self, count: int) -> np.ndarray:
        """The task's own."""
        return self.at(count, self.env.workspace_low, self.env.workspace_high)

    def moving(self, count: int) -> np.ndarray:
        """The present view of an arm that moves, as `~/capture` takes it."""
        seen = []
        for step in range(count):
            if step % 50 == 0:
                self.env.reset(seed=step)
            seen.append(self.env.step(self.rng.uniform(-1, 1, 2))[0]["image"])
        return np.stack(seen)

    def scene(self, name: SceneName, count: int) -> np.ndarray:
        """The task's own goals in another scene."""
        seen = []
        for _ in range(count):
            apply_look(self.env.world.model, draw(name, self.plain, self.rng).goal)
            seen.append(self.goals(1)[0])
        apply_look(self.env.world.model, self.plain)
        return np.stack(seen)


def kinds(pictures: Pictures, args: Args) -> Iterator[tuple[str, np.ndarray]]:
    """Name and pictures, uint8 [N, S, S, 3], of each kind."""
    few, size = max(args.goals // 10, 3), pictures.env.image_size
    own = pictures.goals(args.goals)
    yield "goals of the task", own
    yield "the present view, the arm moving", pictures.moving(args.goals)
    yield "goals of the task as JPEG, quality 50", np.stack([_jpeg(picture) for picture in own[:few]])
    own = own[:few]
    yield "the tool raised as never in training", pictures.at(few, WORKSPACE_LOW, WORKSPACE_HIGH)
    yield "scene shifted", pictures.scene("shifted", few)
    yield "scene cluttered", pictures.scene("cluttered", few)
    yield "scene colours", pictures.scene("colours", few)
    for pixels in (1, 2, 4):
        yield f"camera turned by {pixels} observation pixels", np.roll(own, pixels, axis=2)
    for share in (0.95, 0.9, 0.8):
        yield f"light dimmed to {share:.0%}", np.round(own * share).astype(np.uint8)
    yield "mono8", np.stack([np.repeat(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2) for one in own])
    yield "red and blue exchanged", own[..., ::-1]
    yield "mirrored", own[:, :, ::-1]
    yield "upside down", own[:, ::-1]
    yield "noise", pictures.rng.integers(0, 256, (few, size, size, 3), dtype=np.uint8)
    yield "black", np.zeros((1, size, size, 3), np.uint8)
    yield "triptych of rig sim --images", np.stack([_triptych(own[[at, at - 1, at - 2]]) for at in range(few)])


def _jpeg(picture: np.ndarray) -> np.ndarray:
    """A picture after a JPEG file of it was sent at the camera's size."""
    large = cv2.resize(picture, (480, 480), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    again = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    return prepare_goal(again, Crop(0, 0, 1, 1), len(picture), 1.0)[0]


def _triptych(three: np.ndarray) -> np.ndarray:
    """Three pictures side by side below a title, as `rig sim --images` keeps them, fitted into the observation."""
    panels = np.hstack([cv2.resize(one, (640, 480)) for one in three])
    whole = np.vstack((np.full((36, 1920, 3), 32, np.uint8), panels))
    return prepare_goal(whole, Crop(0.125, 0, 0.75, 1), three.shape[1], 4 / 3)[0]


def main(args: Args) -> None:
    """Measure and print the table."""
    encoder = Encoder(Path(locate(args.checkpoint)))
    check = GoalCheck(encoder)
    pictures = Pictures(encoder.config.camera.image_size)
    own = pictures.moving(args.goals)
    found = pictures_entry(own, np.stack([encoder.decode(encoder.encode(picture)[0]) for picture in own]))
    print(f"stored: {check.usual}; measured on {len(own)} observations: {found}\n")
    if check.usual is None:
        raise SystemExit(f"{args.checkpoint} does not store which pictures its VAE knows: it was made before that")
    print("| picture | number | times what is usual: least, median, most | unknown | grey |")
    print("|---|---|---|---|---|")
    results = {}
    for name, views in kinds(pictures, args):
        verdicts = [check.judge(np.ascontiguousarray(view)) for view in views]
        low, middle, high = np.quantile([verdict.times for verdict in verdicts], [0, 0.5, 1])
        unknown, grey = (
            float(np.mean(share)) for share in zip(*((not one.known, one.grey) for one in verdicts), strict=True)
        )
        print(
            f"| {name} | {len(views)} | {low:.2f}, {middle:.2f}, {high:.2f} | {unknown:.0%} | {grey:.0%} |", flush=True
        )
        results[name] = {"number": len(views), "most": round(high, 2), "unknown": unknown, "grey": grey}
    print(json.dumps(results))


if __name__ == "__main__":
    main(tyro.cli(Args))
