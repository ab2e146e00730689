"""How fast the environment steps, beside what bare rendering plus bare physics of the same scene take.

    python benchmarks/env_speed.py

Bare means MuJoCo's own calls in a row: one render of the picture that an observation is averaged from, and one step's
worth of physics; no inverse kinematics, no resizing, no gymnasium. Environment and limit are measured in short turns,
so that both meet the same machine; the figures are medians over the turns. An environment step includes its share of
the reset that comes every 50 steps. The last line is one JSON object.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import mujoco
import numpy as np
import tyro

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.common.scene_names import SceneName
from rig_sim.env import SawyerReachEnv
from rig_sim.world import Camera, World, view


@dataclass
class Args:
    env: str = "RigSawyerReachXY-v0"
    """Gymnasium environment: RigSawyerReachXY-v0 or RigSawyerReachXYZ-v0."""
    scene: SceneName = "plain"
    """Scene that it shows."""
    sizes: tuple[int, ...] = (48, 84)
    """Widths of observations (pixels)."""
    turns: int = 100
    """Times that each is measured, after one turn that does not count."""
    steps: int = 10
    """Environment steps in a turn."""


def seconds_each(work: Callable[[], object], times: int) -> float:
    """Mean time (s) that the work takes."""
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begin) / times


def measure(size: int, args: Args) -> dict[str, float]:
    """Steps/s of the environment and the fraction of the limit that they are, for one observation size."""
    env = gymnasium.make(args.env, image_size=size, scene=args.scene)
    inner = env.unwrapped
    assert isinstance(inner, SawyerReachEnv)
    assert env.spec is not None and env.spec.max_episode_steps is not None
    rng = np.random.default_rng(0)

    def step() -> None:
        env.step(rng.uniform(-1, 1, len(inner.axes)).astype(np.float32))

    world = World()
    ticks = round(inner.period / world.timestep)
    rendered, direct = (
        Camera(inner.world.model, width, width, view(inner.axes)) for width in (inner.rendered_size, size)
    )
    parts: dict[str, Callable[[], object]] = {
        "environment step": step,
        "environment reset": env.reset,
        f"bare render {inner.rendered_size}x{inner.rendered_size}": lambda: rendered.render(inner.world.data),
        "bare physics": lambda: mujoco.mj_step(world.model, world.data, ticks),
        f"(bare render {size}x{size}: point-sampled, not what a camera sees)": lambda: direct.render(inner.world.data),
    }
    env.reset(seed=0)
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(args.turns + 1):
        for name, work in parts.items():
            each = seconds_each(work, 1 if work == env.reset else args.steps)
            if turn:
                taken[name].append(each)
    typical = {name: statistics.median(times) for name, times in taken.items()}
    stepping, resetting, rendering, physics, _ = typical.values()
    stepping += resetting / env.spec.max_episode_steps
    print(f"observation {size}x{size}")
    for name, each in typical.items():
        print(f"  {name}: {1000 * each:.3f} ms")
    rate, limit = 1 / stepping, 1 / (rendering + physics)
    print(f"  {rate:.0f} steps/s of {limit:.0f}: {100 * rate / limit:.0f} % of the limit")
    env.close()
    return {"steps_per_s": round(rate, 1), "limit_fraction": round(rate / limit, 3)}


def main(args: Args) -> None:
    print(json.dumps({str(size): measure(size, args) for size in args.sizes}))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
