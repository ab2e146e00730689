"""How sensitive is the check that the camera has not moved? In simulation: camera turned, light dimmed, table painted.

    python benchmarks/view_check.py --checkpoint tests/data/plain_vae [--poses 100] [--pictures DIR]

The checkpoint must have a reference of its scene: views of its training, beside which others are held.

Each row is one change, seen with the arm at random places of its box. "alone": share of single views that gave a
warning; "together": share of six views, as the camera node keeps, judged together. The first rows must be 0. Ends with
JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import mujoco
import numpy as np
import tyro

import rig_sim  # noqa: F401  (registers the environment)
from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.common.output_paths import check_folder
from rig_robot.common.package_files import locate
from rig_robot.vision.view_check import Reference, compare, reference
from rig_robot.vision.view_plot import picture
from rig_sim.world import WORKSPACE_HIGH, WORKSPACE_LOW

TOGETHER = 6
AXES = {"sideways": (0, 1, 0), "up and down": (1, 0, 0), "about its axis": (0, 0, 1)}
"""The camera's own axes, about which it turns."""


@dataclass
class Args:
    """What to measure."""

    checkpoint: str = SHIPPED_CHECKPOINT
    """whose reference"""
    poses: int = 100
    """of the arm, for each change"""
    pictures: Path | None = None
    """folder for one picture a change"""


class Scene:
    """The simulated scene, and what can happen to it."""

    def __init__(self, size: int) -> None:
        self.env: Any = gymnasium.make("RigSawyerReachXY-v0", image_size=size).unwrapped
        self.env.reset(seed=0)
        self.model = self.env.world.model
        self.camera = self.model.camera("camera")
        # A view of the model's arrays would follow them.
        self.plain = [np.array(value) for value in self._values()]

    def _values(self) -> tuple[np.ndarray, ...]:
        head = self.model.vis.headlight
        return (
            self.model.cam_quat,
            self.model.light_diffuse,
            head.ambient,
            head.diffuse,
            self.model.mat_rgba,
        )

    def restore(self) -> None:
        for value, plain in zip(self._values(), self.plain, strict=True):
            value[:] = plain

    def turn(self, axis: tuple[int, int, int], degrees: float) -> None:
        by, turned = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(by, np.array(axis, float), math.radians(degrees))
        mujoco.mju_mulQuat(turned, self.plain[0][self.camera.id], by)
        self.model.cam_quat[self.camera.id] = turned

    def light(self, share: float) -> None:
        for value in self._values()[1:4]:
            value *= share

    def table(self, rgb: tuple[float, float, float]) -> None:
        self.model.material("table").rgba[:3] = rgb

    def views(self, positions: np.ndarray) -> np.ndarray:
        return np.stack([self.env.render_goal(position) for position in positions])


def cases(scene: Scene, poses: int) -> Iterator[tuple[str, list[np.ndarray], str]]:
    """Name, sets of views [N, S, S, 3], and the shift or turn that a pinhole says there should be."""
    rng = np.random.default_rng(1)
    flat = scene.env.workspace_low, scene.env.workspace_high

    def places(count: int) -> np.ndarray:
        return rng.uniform(*flat, (count, 3))

    yield "nothing, the arm at rest anywhere", [scene.views(places(4 * poses))], ""
    moving = []
    for episode in range(max(1, poses // 25)):
        seen, _ = scene.env.reset(seed=episode)
        for _ in range(50):
            seen, *_ = scene.env.step(rng.uniform(-1, 1, 2))
            moving.append(seen["image"])
    yield "nothing, the arm moving", [np.stack(moving)], ""
    raised = rng.uniform(WORKSPACE_LOW, WORKSPACE_HIGH, (4 * poses, 3))
    yield "nothing, the arm raised as never in training", [scene.views(raised)], ""
    pixels = scene.env.image_size / 2 / math.tan(math.radians(float(scene.camera.fovy[0])) / 2)
    for name, axis in AXES.items():
        for degrees in (0.5, 1.0, 2.0, 5.0):
            both = []
            for sign in (-1, 1):
                scene.turn(axis, sign * degrees)
                both.append(scene.views(places(poses // 2)))
            scene.restore()
            turn = name == "about its axis"
            expected = f"{degrees:g} deg" if turn else f"{pixels * math.tan(math.radians(degrees)):.1f} px"
            yield f"camera turned {name} by {degrees:g} deg", both, expected
    for share in (0.95, 0.9, 0.8, 0.5):
        scene.light(share)
        yield f"light dimmed to {share:.0%}", [scene.views(places(poses))], f"-{1 - share:.0%}"
        scene.restore()
    for name, rgb in (("a tenth less blue", (0.82, 0.79, 0.666)), ("dark green", (0.25, 0.45, 0.30))):
        scene.table(rgb)
        yield f"table {name}", [scene.views(places(poses))], ""
        scene.restore()


def measured(name: str, changes: list[Any]) -> str:
    """The median of what this change is about."""
    if "sideways" in name or "up and down" in name:
        index = int("up and down" in name)
        told = [
            abs(change.shift[index]) for change in changes if ("sideways", "up and down")[index] not in change.blind
        ]
        return f"{np.median(told):.1f} px" if told else "-"
    if "about" in name:
        return f"{np.median([abs(change.turned) for change in changes]):.1f} deg"
    if "dimmed" in name:
        return f"{np.median([change.brightness for change in changes]):+.0%}"
    return ""


def main(args: Args) -> None:
    """Measure and print the table."""
    check_folder("pictures", args.pictures)
    known = reference(Path(locate(args.checkpoint)))
    if known is None:
        raise SystemExit(f"{args.checkpoint} has no reference of its scene: it was made before there were any")
    scene = Scene(len(known.median))
    results: dict[str, dict[str, float]] = {}
    print("| change | should be | found, median | warned, alone | warned, six together | a shift could not be seen |")
    print("|---|---|---|---|---|---|")
    for name, views, expected in cases(scene, args.poses):
        row(known, name, views, expected, results)
        if args.pictures is not None:
            args.pictures.mkdir(parents=True, exist_ok=True)
            shown = views[-1][-TOGETHER:]
            drawn = picture(known, shown, compare(known, shown))
            cv2.imwrite(str(args.pictures / f"{name.replace(' ', '_')}.png"), drawn[..., ::-1])
    print(json.dumps(results))


def row(
    known: Reference, name: str, sets: list[np.ndarray], expected: str, results: dict[str, dict[str, float]]
) -> None:
    """Judge the views of one change, print its row and note its figures."""
    alone = [compare(known, view) for views in sets for view in views]
    together = []
    for views in sets:
        mixed = views[np.random.default_rng(0).permutation(len(views))]  # of an arm that moves, six in a row look alike
        together += [compare(known, mixed[at : at + TOGETHER]) for at in range(0, len(views) - TOGETHER + 1, TOGETHER)]
    shares = [float(np.mean([bool(change.problems) for change in changes])) for changes in (alone, together)]
    blind = float(np.mean([bool(change.blind) for change in alone]))
    found = measured(name, alone)
    print(
        f"| {name} | {expected} | {found} | {shares[0]:.0%} of {len(alone)} | {shares[1]:.0%} | {blind:.0%} |",
        flush=True,
    )
    results[name] = {"alone": round(shares[0], 3), "together": round(shares[1], 3), "blind": round(blind, 3)}


if __name__ == "__main__":
    main(tyro.cli(Args))
