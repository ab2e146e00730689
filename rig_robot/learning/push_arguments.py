"""The arguments of `rig train --task push`. No torch, no simulation: the command line reads them at every start."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rig_robot.common.scene_names import SceneName

_BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "threads": (1, 256),
    "image_size": (29, 512),
    "exploration_steps": (100, 10**9),
    "online_steps": (0, 10**9),
    "aimed": (0, 1),
    "seeking_steps": (0, 10**9),
    "vae_updates": (25, 10**9),
    "slots": (1, 100),
    "slot_updates": (25, 10**9),
    "members": (1, 100),
    "model_hidden": (1, 4096),
    "model_updates": (1, 10**6),
    "episode_model_updates": (0, 10**6),
    "model_learning_rate": (0, 1),
    "model_batch": (3, 100_000),
    "horizon": (1, 1000),
    "gamma": (0, 1),
    "tool_weight": (0, 100),
    "learning_rate": (0, 1),
    "batch": (1, 100_000),
    "rehearsal_updates": (0, 10**9),
    "updates": (0, 10_000),
    "finishing_updates": (0, 10**9),
    "hindsight": (0, 1),
    "noise": (0, 10),
    "epsilon": (0, 1),
    "evaluate_every": (1, 10**9),
    "evaluation_goals": (1, 10**6),
    "final_goals": (1, 10**6),
}
"""Least and greatest value of the numbers among `PushArgs`"""


GROUPS = {
    "usual": (
        "What people set first.",
        [
            *("out", "task", "scene", "env", "seed", "representation", "exploration_steps", "seeking_steps"),
            *("online_steps", "threads"),
        ],
    ),
    "observation": ("What is seen, and how late it is acted on.", ["image_size", "action_delay", "aimed"]),
    "vae": ("How tool and object are found in pictures.", ["vae_updates", "slots", "slot_updates"]),
    "model": (
        "What actions do to tool and object, as an ensemble of networks.",
        ["members", "model_hidden", "model_updates", "episode_model_updates", "model_learning_rate", "model_batch"],
    ),
    "policy": (
        "How the policy is improved within that model.",
        [
            *("horizon", "gamma", "tool_weight", "hidden", "rest_at_goal", "learning_rate", "batch"),
            *("rehearsal_updates", "updates", "finishing_updates", "hindsight", "noise", "epsilon"),
        ],
    ),
    "evaluation": ("What is measured.", ["evaluate_every", "evaluation_goals", "final_goals"]),
}
"""Groups of the arguments in the help of `rig train --task push`: what each is about, and what is in it"""


@dataclass(frozen=True)
class PushArgs:
    """Learn to push an object to where a goal shows it, in simulation, from nothing (docs/pushing.md).

    Example: rig train --task push --out runs/push"""

    out: Path
    """Directory for checkpoints, pictures and logs. A killed run goes on where it stopped."""
    task: Literal["push"] = "push"
    """What is learned. With --task reach, which is the default, the other arguments are others: rig train --help."""
    env: str = "RigSawyerPushXY-v0"
    """Gymnasium environment."""
    scene: SceneName = "plain"
    """What the camera sees besides arm and object."""
    seed: int = 0
    """Seed of networks, environment and exploration. Same seed, machine and threads: same result."""
    threads: int = 1
    """Torch threads. More than one pays only on a machine that does nothing else."""
    image_size: int = 48
    """Side of the square observation [pixels]."""
    action_delay: tuple[float, float] = (0.02, 0.09)
    """Range of the delay between an observation and the motion that it leads to, drawn anew for each step [s]."""

    representation: Literal["objects", "positions"] = "objects"
    """What states and goals are made of. objects: of where images show the tool and what it can push; positions: the
    true positions of both (the oracle)."""
    exploration_steps: int = 2_500
    """Steps of exploration before anything is learned: straight motions over the table. With true positions, `aimed`
    of them are at the object already."""
    seeking_steps: int = 1_500
    """Steps of exploration with many motions aimed at what was found to be the object; not with true positions."""
    aimed: float = 0.5
    """Share of motions that are aimed at an object: of random steps, one in twenty touches it."""
    vae_updates: int = 1_400
    """Gradient steps of the split VAE, of which the tool's latent is; on each of the two explorations."""
    slots: int = 6
    """Things that are looked for in pictures besides arm and room; contact tells which of them is the object."""
    slot_updates: int = 1_000
    """Gradient steps of the slots; on each of the two explorations."""
    online_steps: int = 6_000
    """Steps of practice towards imagined goals."""

    members: int = 5
    """Networks in the ensemble that models what actions do."""
    model_hidden: int = 128
    """Width of their three hidden layers."""
    model_updates: int = 3_000
    """Gradient steps of the model on what exploration gave."""
    episode_model_updates: int = 100
    """Gradient steps of the model after each episode of practice."""
    model_learning_rate: float = 1e-3
    """Learning rate of the model."""
    model_batch: int = 255
    """Transitions per gradient step, for each network of its own."""

    horizon: int = 10
    """Steps of the model through which the policy's gradient passes; from there on, the value counts."""
    gamma: float = 0.97
    """Discount per step. To get behind an object takes steps that bring it no nearer."""
    tool_weight: float = 0.1
    """How much the tool's distance to its goal counts beside the object's."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and value."""
    rest_at_goal: bool = True
    """Subtract what the policy's network says where tool and object are at the goal: the action is exactly 0 there."""
    learning_rate: float = 1e-3
    """Learning rate of policy and value at the start. It falls to a third over the practice, then to 5 %."""
    batch: int = 128
    """Imagined moments per update."""
    rehearsal_updates: int = 800
    """Updates of policy and value in the model before practice begins."""
    updates: int = 40
    """Updates after each episode of practice."""
    finishing_updates: int = 1_500
    """Updates after the last one."""
    hindsight: float = 0.4
    """Share of moments whose goal is one that is reached later in the same imagined episode."""
    noise: float = 0.15
    """Standard deviation of the noise on the actions of practice."""
    epsilon: float = 0.03
    """Probability of each step of practice to begin a motion of exploration."""

    evaluate_every: int = 1_000
    """Online steps between two evaluations (learning curve)."""
    evaluation_goals: int = 20
    """Number of goals of each of these evaluations."""
    final_goals: int = 100
    """Number of goals of the evaluation at the end."""

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name} is {value}, expected {low:g} to {high:g}")
        if not 0 <= self.action_delay[0] <= self.action_delay[1] < math.inf:
            raise ValueError(f"action_delay is {self.action_delay}, expected (min, max) with 0 <= min <= max")
        if not self.hidden or min(self.hidden) < 1 or max(self.hidden) > 4096:
            raise ValueError(f"hidden is {self.hidden}, expected one or more widths above 0, at most 4096")
