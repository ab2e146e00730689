"""Arguments of `rig train`, `rig explore` and `rig eval`, with a sentence for each: all that configures a run."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rig_robot.common.scene_names import SceneName
from rig_robot.learning.representation_registry import REPRESENTATIONS

Method = Literal["rig", "rig-lecture", "rig-vae", "rig-2018", "pixels", "oracle"]
Implementation = Literal["fast", "readable"]
if TYPE_CHECKING:
    Representation = str
else:
    Representation = Literal[tuple(REPRESENTATIONS)]  # so that the command line names them all


WIDEST = 4096
"""Most channels or units in a layer"""
_BOUNDS: dict[str, tuple[float, float]] = {
    "threads": (1, 256),
    "image_size": (29, 512),
    "exploration_steps": (1, 10**9),
    "online_steps": (0, 10**9),
    "sticky": (1, 1000),
    "latent_size": (1, 1024),
    "scene_size": (1, 1024),
    "beta": (0, 1e6),
    "calibration": (0, 1e6),
    "augmentation": (0, 1),
    "vae_updates": (1, 10**9),
    "vae_learning_rate": (0, 1),
    "vae_batch": (4, 100_000),
    "fine_tune_every": (0, 10**9),
    "fine_tune_updates": (1, 10**6),
    "fine_tune_learning_rate": (0, 1),
    "learning_rate": (0, 1),
    "batch": (1, 100_000),
    "rehearsal_updates": (0, 10**9),
    "updates": (0, 10_000),
    "warm_up": (0, 10**9),
    "gamma": (0, 1),
    "tau": (0, 1),
    "policy_delay": (1, 1000),
    "target_noise": (0, 10),
    "gain": (0.01, 1),
    "action_penalty": (0, 1000),
    "noise": (0, 10),
    "noise_theta": (0, 1),
    "epsilon": (0, 1),
    "future": (0, 1),
    "imagined": (0, 1),
    "replayed": (0, 1),
    "evaluate_every": (1, 10**9),
    "evaluation_goals": (1, 10**6),
    "final_goals": (1, 10**6),
    "seed": (0, 2**31 - 1),
}
"""Least and greatest value of the numbers among `TrainArgs`"""

GROUPS = {
    "usual": (
        "What people set first.",
        ["out", "task", "method", "scene", "env", "seed", "exploration_steps", "online_steps", "offline", "threads"],
    ),
    "observation": ("What is seen, and how late it is acted on.", ["image_size", "action_delay", "sticky"]),
    "representation": (
        "What states and goals are made of, and its networks.",
        [
            *("representation", "anchor", "latent_size", "scene_size", "channels", "likelihood", "beta"),
            *("augmentation", "calibration"),
        ],
    ),
    "vae": (
        "How the VAE is trained, first and again.",
        [
            *("vae_updates", "vae_learning_rate", "one_cycle", "vae_batch"),
            *("fine_tune_every", "fine_tune_updates", "fine_tune_learning_rate"),
        ],
    ),
    "td3": (
        "How policy and critics are trained.",
        [
            *("implementation", "hidden", "layer_norm", "tip", "rest_at_goal"),
            *("learning_rate", "falling_rate", "batch"),
            *("rehearsal_updates", "updates", "warm_up", "keep_exploration", "gamma", "tau", "policy_delay"),
            *("target_noise", "gain", "action_penalty", "noise", "noise_theta", "epsilon"),
        ],
    ),
    "goal": (
        "Which goals are practised, and which are relabelled in hindsight.",
        ["prior", "practice_goals", "future", "hindsight", "imagined", "replayed"],
    ),
    "evaluation": ("What is measured and drawn.", ["evaluate_every", "evaluation_goals", "final_goals", "pictures"]),
}
"""Groups of the arguments in the help of `rig train`: what each is about, and what is in it"""


@dataclass(frozen=True)
class TrainArgs:
    """Learn to reach goal images in simulation, from nothing (RIG, Algorithm 1), or to push (--task push).

    Example: rig train --out runs/mine --scene lab"""

    out: Path
    """Directory for checkpoints, pictures and logs. A killed run goes on where it stopped."""
    task: Literal["reach"] = "reach"
    """What is learned. With --task push, the other arguments are others: rig train --task push --help."""
    method: Method = "rig"
    """Which defaults the other arguments have (docs/learning.md). rig: this project's; rig-lecture: the same with the
    goals of the lecture's Algorithm 1; rig-vae: with a plain VAE; rig-2018: the original's; to compare, pixels: L2
    between images as reward; oracle: the tool's true position."""
    env: str = "RigSawyerReachXY-v0"
    """Gymnasium environment: RigSawyerReachXY-v0 or RigSawyerReachXYZ-v0."""
    scene: SceneName = "plain"
    """What the camera sees besides the arm. plain: nothing that changes; cluttered: a moving object and changing light;
    colours: a table whose colours change from episode to episode; shifted: plain, from a camera that was turned."""
    seed: int = 0
    """Seed of networks, environment and exploration. Same seed, machine and threads: same result."""
    threads: int = 1
    """Torch threads. More than one pays only on a machine that does nothing else."""
    pictures: bool = True
    """Draw the run's pictures at its end, which takes some 5 s of CPU."""
    image_size: int = 48
    """Side of the square observation [pixels]."""
    action_delay: tuple[float, float] = (0.02, 0.09)
    """Range of the delay between an observation and the motion that it leads to, drawn anew for each step [s]."""

    offline: Path | None = None
    """A buffer that `rig explore` recorded: learn from it alone; the environment is only used to evaluate."""
    exploration_steps: int = 1_500
    """Random steps before anything is learned; they give the VAE its first images (line 1)."""
    online_steps: int = 500
    """Steps of practice towards imagined goals (lines 3 to 17)."""
    sticky: int = 10
    """Steps for which a random action is held: white noise covers half as much of the workspace."""

    representation: Representation = "controllable"
    """What states and goals are made of. controllable: of what the robot's actions control, in a split VAE; latent: of
    a plain VAE; conditional: of a VAE that is given the scene; pixels: the image itself; state: the tool's true
    position."""
    anchor: Literal["actions", "proprioception"] = "actions"
    """What the controllable latent is learned from. actions: from the robot's own actions and the walls of its box;
    proprioception: from measured tool positions, which every robot has."""
    latent_size: int = 4
    """Numbers in a latent (with pixels: principal axes that are kept); a controllable one has one for each action."""
    scene_size: int = 16
    """Numbers in the split VAE's other latent, from which pictures of the room are redrawn."""
    channels: tuple[int, int, int] = (16, 32, 32)
    """Channels of the VAE's convolutions."""
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    """Distribution of a pixel given the latent."""
    beta: float = 1.0
    """Weight of the KL term against the reconstruction (gaussian: whose pixels have a standard deviation of 0.1)."""
    augmentation: float = 1.0
    """How strongly pictures are changed, each on its own, while the controllable latent is learned: 0 to 1."""
    calibration: float = 500.0
    """Weight of the loss that makes latents move in proportion to the robot's own actions; 0: a plain VAE alone."""
    vae_updates: int = 1_400
    """Gradient steps of the first training of the VAE (line 2)."""
    vae_learning_rate: float = 2e-3
    """Peak learning rate of that training."""
    one_cycle: bool = True
    """Let the VAE's learning rate rise and fall again; constant otherwise."""
    vae_batch: int = 64
    """Images per VAE update."""
    fine_tune_every: int = 5
    """Episodes between two fine-tunings of the VAE (line 16); 0: never."""
    fine_tune_updates: int = 40
    """VAE updates per fine-tuning, each half exploration images, half replay images."""
    fine_tune_learning_rate: float = 3e-4
    """Learning rate of the first fine-tuning; it falls as the policy's does."""

    implementation: Implementation = "fast"
    """Of TD3: gradients by formula; or by autograd, slower, to read and to change (rl/td3.py). Results are the same."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of actor and critics."""
    layer_norm: bool = True
    """Normalise the critics' layers."""
    tip: bool = True
    """Give the value its sharp maximum at the goal by formula, and let the critics learn the rest."""
    rest_at_goal: bool = True
    """Subtract what the actor's network says where the state is the goal: the action is exactly 0 there."""
    learning_rate: float = 1e-3
    """Learning rate of actor and critics at the start."""
    falling_rate: bool = True
    """Let the learning rate fall linearly to 5 % of its start."""
    batch: int = 256
    """Transitions per update of the critics."""
    rehearsal_updates: int = 2_000
    """Updates on the exploration's transitions before practice begins."""
    updates: int = 2
    """Updates per step of practice."""
    warm_up: int = 0
    """First steps of practice without updates."""
    keep_exploration: bool = True
    """Learn also from the transitions of exploration, beside those of practice."""
    gamma: float = 0.9
    """Discount per step. Without calibration, latent distances have local minima: the policy must look further."""
    tau: float = 0.01
    """Share of the networks' weights that the target networks take over per update of the actor."""
    policy_delay: int = 2
    """Updates of the critics per update of the actor."""
    target_noise: float = 0.2
    """Standard deviation of the noise on the target policy's actions, clipped at 0.5."""
    gain: float = 0.6
    """Share of the way to a near goal that one action should cover: at 1, the unobserved delay makes it overshoot."""
    action_penalty: float = 0.1
    """Weight of the squared action in the actor's loss (as in the original HER): the arm then holds still at a goal."""
    noise: float = 0.2
    """Standard deviation of the exploration noise on the policy's actions, per step."""
    noise_theta: float = 1.0
    """Share of the noise that is drawn anew in each step (Ornstein-Uhlenbeck process): 1 is white noise."""
    epsilon: float = 0.2
    """Share of practice steps with a random action."""
    prior: Literal["fitted", "standard"] = "fitted"
    """p(z), from which goals are imagined. fitted: a Gaussian fitted to the encodings; standard: N(0, I)."""
    practice_goals: Literal["imagined", "seen"] = "imagined"
    """Goals of practice episodes. imagined: samples of the prior (line 4); seen: latents of recorded frames."""
    future: float = 0.5
    """Share of goals relabelled in hindsight, with a frame of the same episode."""
    hindsight: Literal["future", "final", "episode"] = "future"
    """Which frame the hindsight goal comes from: a later one, the last one, or any (HER, section 4.5)."""
    imagined: float = 0.2
    """Share relabelled with a sample of the prior (line 12)."""
    replayed: float = 0.3
    """Share relabelled with any latent of the replay buffer (HER's "random"). All others keep their episode's goal."""

    evaluate_every: int = 250
    """Online steps between two checkpoints with an evaluation (learning curve)."""
    evaluation_goals: int = 20
    """Number of goals of each of these evaluations."""
    final_goals: int = 100
    """Number of goals of the evaluation at the end."""

    def __post_init__(self) -> None:
        _check_bounds(self, _BOUNDS)
        _check_delay(self.action_delay)
        if min(self.channels) < 1 or max(self.channels) > WIDEST:
            raise ValueError(f"channels is {self.channels}, expected numbers above 0, at most {WIDEST}")
        if self.future + self.imagined + self.replayed > 1 + 1e-9:
            shares = f"{self.future} + {self.imagined} + {self.replayed}"
            raise ValueError(f"future + imagined + replayed is {shares}, expected a sum of at most 1")
        if self.representation not in REPRESENTATIONS:
            known = ", ".join(REPRESENTATIONS)
            raise ValueError(f"representation is {self.representation}, expected one of {known}")
        if self.representation == "controllable":
            if not self.calibration:
                raise ValueError("calibration is 0, expected above 0: only actions make a controllable latent")
            if self.likelihood != "gaussian":
                raise ValueError(f"likelihood is {self.likelihood}, expected gaussian: only a plain VAE has another")
            if self.prior != "fitted":
                raise ValueError(f"prior is {self.prior}, expected fitted: a controllable latent is in actions")
        if self.fine_tune_every and not REPRESENTATIONS[self.representation].has_vae:
            raise ValueError(
                f"fine_tune_every is {self.fine_tune_every}, expected 0: no VAE makes {self.representation}"
            )
        if self.offline and self.online_steps:
            raise ValueError(f"online_steps is {self.online_steps}, expected 0: offline training takes no step")
        if self.rehearsal_updates and not self.keep_exploration:
            raise ValueError(f"rehearsal_updates is {self.rehearsal_updates}, expected 0 without keep_exploration")
        if not self.rehearsal_updates and not self.online_steps * self.updates:
            raise ValueError("rehearsal_updates and online_steps are 0: nothing would be learned")
        if not self.hidden or min(self.hidden) < 1 or max(self.hidden) > WIDEST:
            raise ValueError(f"hidden is {self.hidden}, expected one or more widths above 0, at most {WIDEST}")


def _check_bounds(args: Any, bounds: dict[str, tuple[float, float]]) -> None:
    for name, (low, high) in bounds.items():
        value = getattr(args, name)
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, expected {low:g} to {high:g}")


def _check_delay(delay: tuple[float, float]) -> None:
    if not 0 <= delay[0] <= delay[1] < math.inf:
        raise ValueError(f"action_delay is {delay}, expected (min, max) with 0 <= min <= max")


@dataclass(frozen=True)
class ExploreArgs:
    """Record random steps in simulation, to train on with `rig train --offline`.

    Example: rig explore --out runs/random --steps 2000"""

    out: Path
    """New directory for the buffer."""
    steps: int = 2_000
    """Random steps, in whole episodes."""
    env: str = "RigSawyerReachXY-v0"
    """Gymnasium environment."""
    scene: SceneName = "plain"
    """What the camera sees besides the arm."""
    seed: int = 0
    """Seed of actions and starts."""
    image_size: int = 48
    """Side of the square observation [pixels]."""
    action_delay: tuple[float, float] = (0.02, 0.09)
    """Range of the delay between an observation and the motion that it leads to [s]."""
    sticky: int = 10
    """Steps for which a random action is held."""

    def __post_init__(self) -> None:
        _check_bounds(
            self,
            {"steps": (1, 10**9), "seed": (0, 2**31 - 1), "image_size": (29, 512), "sticky": (1, 1000)},
        )
        _check_delay(self.action_delay)


@dataclass(frozen=True)
class EvalArgs:
    """Let a checkpoint reach random goal images in simulation and measure its distance to them.

    Example: rig eval runs/mine/checkpoints --goals 100 --scene cluttered"""

    checkpoint: str
    """Checkpoint: a directory, a root with a link `current`, or package://NAME/PATH."""
    goals: int = 100
    """Random goals, one episode each."""
    seed: int = 0
    """Seed of the goals and starts; training never meets any of them."""
    env: str | None = None
    """Gymnasium environment; by default the one that the checkpoint was trained in."""
    scene: SceneName | None = None
    """What the camera sees besides the arm; by default the scene that the checkpoint was trained in."""
    json: Path | None = None
    """File to write the figures to."""

    def __post_init__(self) -> None:
        if self.goals < 1:
            raise ValueError(f"goals is {self.goals}, expected 1 or more")
        if not 0 <= self.seed < 2**20:
            raise ValueError(f"seed is {self.seed}, expected 0 to {2**20 - 1}")
