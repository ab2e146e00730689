"""How well a picture tells where the tool is, for several places of the camera, and what the cameras in use see.

    python benchmarks/views.py

First the difference that is left between the render for training and the camera's frame, over what a 2 mm move of the
tool changes there. Then for each camera, over the box of the XYZ task and 48x48 pictures:

- change: how much the picture changes (root of the mean squared grey levels) when the tool moves by 1 cm in the
  direction in which it changes least, and in which it changes most: the singular values of d(picture)/d(position),
  means over a grid of places.
- neighbours: how far apart (mm) two places are whose pictures are alike: each of 300 random places, and the one of 900
  others whose picture is nearest in the 16 principal components.

`--pictures DIR` draws what the docs show instead.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import cv2
import gymnasium
import mujoco
import numpy as np
import tyro
from numpy.typing import NDArray

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.arm.kinematics import TOOL_DOWN
from rig_robot.common.output_paths import check_folder
from rig_robot.common.scene_names import SCENES
from rig_robot.vision.observation import Image, prepare
from rig_sim.env import SawyerReachEnv
from rig_sim.world import FIXED_HEIGHT, HOME, VIEWS, WORKSPACE_HIGH, WORKSPACE_LOW, Camera, World, kinematics

Vector = NDArray[np.float64]

SIZE, RENDERED = 48, 240
TRAINED = 900
STEP = 0.005
"""Half the way (m) over which a change is measured."""
ARM, TOOL = (0.50, 0.05, 0.30), (0.60, 0.0, 0.22)
"""What candidates are aimed at (m): the middle of what arm and tool cover, or of what the tool alone does."""
CORNERS = np.array(list(itertools.product(*zip(WORKSPACE_LOW, WORKSPACE_HIGH, strict=True))))


@dataclass
class Args:
    pictures: Path | None = None
    """Folder for the pictures."""


def place(model: mujoco.MjModel, azimuth: float, elevation: float, aim: tuple[float, ...], fovy: float) -> None:
    """Puts the camera of the XYZ task 1.3 m from its aim; angles in degrees, azimuth 0 in front of the robot."""
    a, e = np.radians(azimuth), np.radians(elevation)
    backward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    camera = model.camera(VIEWS["xyz"])
    camera.pos, camera.fovy = aim + 1.3 * backward, fovy
    mujoco.mju_mat2Quat(camera.quat, np.stack([right, np.cross(backward, right), backward], axis=1).ravel())


class Judge:
    """Measures cameras by the same places of the tool."""

    def __init__(self, world: World) -> None:
        arm = kinematics()
        rng = np.random.default_rng(0)
        inner = [
            np.linspace(low + STEP, high - STEP, 3) for low, high in zip(WORKSPACE_LOW, WORKSPACE_HIGH, strict=True)
        ]
        moves = STEP * np.concatenate([np.eye(3), -np.eye(3)])
        self._world = world
        self._steps = [
            [arm.solve(HOME, position + move, TOOL_DOWN) for move in moves]
            for position in np.array(list(itertools.product(*inner)))
        ]
        self._places = rng.uniform(WORKSPACE_LOW, WORKSPACE_HIGH, (TRAINED + 300, 3))
        self._postures = [arm.solve(HOME, position, TOOL_DOWN) for position in self._places]

    def line(self, camera: Camera) -> str:
        """Change in the least and in the most visible direction, distance of neighbours: one line of text."""

        def picture(q: Vector) -> Vector:
            return camera.observe(self._world.at_rest(q), SIZE).astype(np.float64).ravel()

        changes = []
        for postures in self._steps:
            seen = np.array([picture(q) for q in postures])
            changes.append(np.linalg.svd((seen[:3] - seen[3:]) / (200 * STEP) / SIZE / np.sqrt(3), compute_uv=False))
        most, _, least = np.mean(changes, axis=0)
        pictures = np.array([picture(q) for q in self._postures])
        centred = pictures - pictures[:TRAINED].mean(axis=0)
        known = centred[:TRAINED]
        _, vectors = np.linalg.eigh(known @ known.T)
        components = known.T @ vectors[:, -16:]
        codes = centred @ (components / np.linalg.norm(components, axis=0))
        return f"change {least:.1f} to {most:.1f}, neighbours {self._apart(codes):.1f} mm"

    def best(self) -> float:
        """What `neighbours` would be (mm) if the nearest place were always found."""
        return self._apart(self._places)

    def _apart(self, codes: Vector) -> float:
        known, new = codes[:TRAINED], codes[TRAINED:]
        nearest = np.linalg.norm(new[:, None] - known[None], axis=2).argmin(axis=1)
        return float(1000 * np.linalg.norm(self._places[nearest] - self._places[TRAINED:], axis=1).mean())


def figures() -> None:
    """Prints how well training and camera agree, then one line for each camera."""
    for task, size in itertools.product(("XY", "XYZ"), (48, 84)):
        print(agreement(task, size), flush=True)
    world = World()
    judge = Judge(world)
    camera = {task: Camera(world.model, RENDERED, RENDERED, name) for task, name in VIEWS.items()}
    print(f"neighbours at best {judge.best():.1f} mm")
    print(f"camera of the XY task: {judge.line(camera['xy'])}")
    print(f"camera of the XYZ task: {judge.line(camera['xyz'])}")
    for name, aim, fovy in (("tool fills the picture", TOOL, 31.0), ("arm fills the picture", ARM, 40.0)):
        for elevation, azimuth in itertools.product((40, 60), (0, 30, 60, 90, -60)):
            place(world.model, azimuth, elevation, aim, fovy)
            print(f"{name}, azimuth {azimuth}, elevation {elevation}: {judge.line(camera['xyz'])}", flush=True)


def make(task: str, **arguments: object) -> SawyerReachEnv:
    env = gymnasium.make(f"RigSawyerReach{task}-v0", **arguments).unwrapped  # type: ignore[arg-type]
    assert isinstance(env, SawyerReachEnv)
    return env


def agreement(task: str, size: int) -> str:
    """How far the render for training is from the camera's frame, over what a 2 mm move changes: one line of text."""
    env = make(task, image_size=size)

    def seen(position: Vector) -> Vector:
        env.reset(options={"start": position})
        return prepare(env.render_frame(), env.crop, size).astype(np.float64)

    heights = np.unique([env.workspace_low[2], 0.25 if "z" in env.axes else FIXED_HEIGHT, env.workspace_high[2]])
    moves = 0.002 * np.concatenate([sign * np.eye(3)[: len(env.axes)] for sign in (-1, 1)])
    shares = []
    for position in np.array(list(itertools.product((0.46, 0.60, 0.74), (-0.19, -0.05, 0.08, 0.19), heights))):
        frame = seen(position)
        moved = min(np.sqrt(((seen(position + move) - frame) ** 2).mean()) for move in moves)
        shares.append(np.sqrt(((env.render_goal(position) - frame) ** 2).mean()) / moved)
    env.close()
    return f"{task}, {size} pixels: mean {np.mean(shares):.2f}, at most {max(shares):.2f}"


def corners() -> Image:
    """The eight corners of the XYZ box: the camera's frame, below it the observation of 48 and of 84 pixels."""
    env = make("XYZ")
    cells = []
    for corner in CORNERS[np.lexsort((CORNERS[:, 1], CORNERS[:, 0], CORNERS[:, 2]))]:
        env.reset(options={"start": corner})
        frame = env.render_frame()
        small = [_scaled(prepare(frame, env.crop, size), 128, 128) for size in (48, 84)]
        picture = np.vstack([cv2.resize(frame, (256, 192), interpolation=cv2.INTER_AREA), np.hstack(small)])
        cells.append(_titled(np.asarray(picture, np.uint8), "x {:.2f}, y {:.2f}, z {:.2f} m".format(*corner)))
    return np.vstack([np.hstack(cells[:4]), np.hstack(cells[4:])])


def scenes() -> Image:
    """Three episodes of each scene: start, 2 s later, goal picture; the XY task's observations, 48 pixels."""
    rows = []
    for scene in SCENES:
        env = make("XY", scene=scene)
        cells = []
        for seed in range(3):
            observation, _ = env.reset(seed=seed)
            seen = [observation["image"]]
            for action in np.random.default_rng(seed).uniform(-1, 1, (20, 2)):
                observation = env.step(action)[0]
            seen += [observation["image"], env.render_goal(observation["desired_goal"])]
            texts = (f"{scene} {seed + 1}: start", "2 s later", "goal picture")
            cells += [_titled(_scaled(image, 144, 144), text) for image, text in zip(seen, texts, strict=True)]
        rows.append(np.hstack(cells))
    return np.vstack(rows)


def _scaled(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _titled(picture: Image, text: str) -> Image:
    """The picture with a line of text above and a margin around."""
    framed = cv2.copyMakeBorder(picture, 20, 4, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(framed, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.asarray(framed, np.uint8)


def main(args: Args) -> None:
    check_folder("pictures", args.pictures)
    if args.pictures is None:
        figures()
        return
    args.pictures.mkdir(parents=True, exist_ok=True)
    packed = (cv2.IMWRITE_PNG_COMPRESSION, 9)
    for name, picture in (("xyz_corners", corners()), ("scenes", scenes())):
        cv2.imwrite(str(args.pictures / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), packed)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
