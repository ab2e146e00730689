"""Every argument of `rig train`, with a sentence for each: the whole configuration of a run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainArgs:
    """Learn to reach goal images in simulation, from nothing (RIG, Algorithm 1)."""

    out: Path
    """Directory for checkpoints, pictures and logs. A run that was killed goes on where it stopped."""
    env: str = "RigSawyerReachXY-v0"
    """Gymnasium environment: RigSawyerReachXY-v0 or RigSawyerReachXYZ-v0."""
    seed: int = 0
    """Seed of everything: networks, environment, exploration. Same seed, machine and threads: same result."""
    threads: int = 1
    """Torch threads. More than one pays only on a machine that does nothing else."""
    image_size: int = 48
    """Side of the square observation [pixels]."""
    action_delay: tuple[float, float] = (0.02, 0.09)
    """Range of the delay between an observation and the motion that answers it, drawn anew for each step [s]."""

    exploration_steps: int = 10_000
    """Random steps, before anything is learned, that give the VAE its first images (line 1)."""
    online_steps: int = 5_000
    """Steps of practice towards imagined goals (lines 3 to 17)."""
    sticky: int = 10
    """Steps for which a random action is held: white noise covers half as much of the workspace."""

    latent_size: int = 4
    """Numbers in a latent."""
    channels: tuple[int, int, int] = (16, 32, 64)
    """Channels of the VAE's convolutions."""
    beta: float = 20.0
    """Weight of the KL term against the reconstruction, whose pixels have a standard deviation of 0.1."""
    vae_epochs: int = 8
    """Passes over the exploration images in the first training of the VAE (line 2)."""
    vae_learning_rate: float = 1e-3
    """Peak of the one-cycle schedule of that training."""
    vae_batch: int = 128
    """Images per VAE update."""
    fine_tune_every: int = 15
    """Episodes between two fine-tunings of the VAE (line 16); 0: never."""
    fine_tune_batches: int = 40
    """VAE updates per fine-tuning, each half exploration images, half replay images."""
    fine_tune_learning_rate: float = 3e-4
    """Learning rate of the first fine-tuning; it falls with that of the policy."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of actor and critics."""
    learning_rate: float = 1e-3
    """Of actor and critics at the start; falls linearly to 5 % of it."""
    batch: int = 256
    """Transitions per update of the critics."""
    gamma: float = 0.97
    """Discount per step. Latent distances have dead ends; the less far the policy looks, the more of them hold it."""
    tau: float = 0.01
    """Share of the networks that the target networks take over per update of the actor."""
    policy_delay: int = 2
    """Updates of the critics per update of the actor."""
    target_noise: float = 0.2
    """Standard deviation of the noise on the target policy's actions, clipped at 0.5."""
    gain: float = 0.6
    """Share of the way to a near goal that one action is to cover: at 1, a delay that nobody sees means overshoot."""
    action_penalty: float = 0.1
    """Weight of the squared action in the actor's loss (as in the original HER): the arm then holds still at a goal."""
    noise: float = 0.2
    """Standard deviation of the exploration noise on the policy's actions."""
    epsilon: float = 0.2
    """Share of practice steps with a random action."""
    future: float = 0.5
    """Share of goals relabelled with a later latent of the same episode."""
    imagined: float = 0.2
    """Share relabelled with a sample of the prior."""
    replayed: float = 0.3
    """Share relabelled with any latent of the replay buffer."""

    evaluate_every: int = 1_000
    """Online steps between two checkpoints with an evaluation (learning curve)."""
    evaluation_goals: int = 20
    """Goals of each of those."""
    final_goals: int = 100
    """Goals of the evaluation at the end."""

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[float, float]] = {
            "threads": (1, 256),
            "image_size": (29, 512),
            "exploration_steps": (1, 10**9),
            "online_steps": (1, 10**9),
            "sticky": (1, 1000),
            "latent_size": (1, 1024),
            "beta": (0, 1e6),
            "vae_epochs": (1, 10_000),
            "vae_learning_rate": (0, 1),
            "vae_batch": (2, 100_000),
            "fine_tune_every": (0, 10**9),
            "fine_tune_batches": (1, 10**6),
            "fine_tune_learning_rate": (0, 1),
            "learning_rate": (0, 1),
            "batch": (1, 100_000),
            "gamma": (0, 1),
            "tau": (0, 1),
            "policy_delay": (1, 1000),
            "target_noise": (0, 10),
            "gain": (0.01, 1),
            "action_penalty": (0, 1000),
            "noise": (0, 10),
            "epsilon": (0, 1),
            "future": (0, 1),
            "imagined": (0, 1),
            "replayed": (0, 1),
            "evaluate_every": (1, 10**9),
            "evaluation_goals": (1, 10**6),
            "final_goals": (1, 10**6),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, expected {low:g} to {high:g}")
        if not 0 <= self.action_delay[0] <= self.action_delay[1]:
            raise ValueError(f"action_delay is {self.action_delay}, expected (min, max) with 0 <= min <= max")
        if abs(self.future + self.imagined + self.replayed - 1) > 1e-9:
            shares = f"{self.future} + {self.imagined} + {self.replayed}"
            raise ValueError(f"future + imagined + replayed is {shares}, expected a sum of 1")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden is {self.hidden}, expected one or more widths above 0")


@dataclass(frozen=True)
class EvalArgs:
    """Let a checkpoint reach random goal images in simulation and measure how near it comes."""

    checkpoint: Path
    """Checkpoint directory, or a root of several with a link `current`."""
    goals: int = 100
    """Random goals, one episode each."""
    seed: int = 0
    """Seed of the goals and starts; training never sees any of them."""
    env: str | None = None
    """Gymnasium environment; the one that the checkpoint was trained in when not given."""
    json: Path | None = None
    """File for the figures."""

    def __post_init__(self) -> None:
        if self.goals < 1:
            raise ValueError(f"goals is {self.goals}, expected 1 or more")
        if not 0 <= self.seed < 2**20:
            raise ValueError(f"seed is {self.seed}, expected 0 to {2**20 - 1}")
