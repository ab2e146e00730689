"""The latent of a plain VAE, calibrated by the robot's own actions; the base of the other latents."""

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.checkpoints.config import VaeEntry
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representations.base import Log, Representation
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.rl.td3 import falling
from rig_robot.learning.vae.measures import knows_view, vae_loss
from rig_robot.learning.vae.split_trainer import SplitVaeTrainer
from rig_robot.learning.vae.split_vae import SplitVae
from rig_robot.learning.vae.vae import Vae, to_images, to_pixels
from rig_robot.learning.vae.vae_trainer import Calibration, Moves, VaeTrainer, one_cycle

UNIT = 25
"""VAE updates in a unit of work"""
SPAN = 10
"""Most steps between the two frames of a pair. Over fewer, noise and delay count for more; over more, the edges."""
OTHERS = 4
"""A batch has one picture of elsewhere for so many frames of the robot's own."""
IMAGINED = 300
"""Pictures that the VAE imagines, to measure how far apart the pictures are that it knows"""


class Latent(Representation):
    """The mean of a VAE's encoder."""

    deployable = True
    nearest = 1
    """least steps between the two frames of a pair"""
    vae: Vae | SplitVae
    calibration: nn.Module | None
    """the model of what actions do to latents"""
    trainer: VaeTrainer | SplitVaeTrainer

    def __init__(self, args: TrainArgs, box: ActionBox) -> None:
        super().__init__(args, box)
        self.args, self.box, self.units = args, box, max(1, args.vae_updates // UNIT)
        self.build()
        self.size = self.vae.latent_size

    def build(self) -> None:
        """Make new networks."""
        args = self.args
        self.vae = self.make_vae()
        self.calibration = Calibration(args.latent_size, self.box.size) if args.calibration else None
        self.reset_optimiser()

    def make_vae(self) -> Vae:
        """Return a new VAE."""
        args = self.args
        return Vae(args.image_size, args.latent_size, args.channels, args.likelihood)

    def reset_optimiser(self) -> None:
        """Begin training anew from the present weights."""
        assert isinstance(self.vae, Vae) and (self.calibration is None or isinstance(self.calibration, Calibration))
        self.trainer = VaeTrainer(self.vae, self.args.beta, self.calibration, self.args.calibration)

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator, others: np.ndarray | None = None) -> Log:
        """Do one unit of learning on everything in the buffer; others: see `update`."""
        if unit == 0 and self.args.likelihood == "gaussian":
            mean = replay.images[: replay.size].mean(axis=0, dtype=np.float64) / 255
            self.vae.mean_image.copy_(torch.from_numpy(mean).permute(2, 0, 1))
        for number in range(UNIT):
            progress = (unit + number / UNIT) / self.units
            rate = one_cycle(progress) if self.args.one_cycle else 1.0
            frames = pairs(replay, 0, replay.size, self.args.vae_batch, rng, self.nearest)
            log = self.update(replay, frames, self.args.vae_learning_rate * rate, rng, others, progress)
        return log

    def fine_tune(
        self,
        replay: ReplayBuffer,
        explored: int,
        progress: float,
        rng: np.random.Generator,
        updates: int,
        others: np.ndarray | None = None,
    ) -> Log:
        """Fine-tune on a mixture of D, the first `explored` frames, and R, the rest (RIG, Algorithm 1, line 16).

        Where only one of the two exists, fine-tune on that one. others: see `update`.
        """
        parts = [(start, end) for start, end in ((0, explored), (explored, replay.size)) if end > start]
        for _ in range(updates):
            share = self.args.vae_batch // len(parts)
            frames = np.concatenate([pairs(replay, *part, share, rng, self.nearest) for part in parts], axis=1)
            rate = self.args.fine_tune_learning_rate * falling(progress)
            log = self.update(replay, frames, rate, rng, others)
        return log

    def update(
        self,
        replay: ReplayBuffer,
        frames: np.ndarray,
        rate: float,
        rng: np.random.Generator,
        others: np.ndarray | None = None,
        progress: float = 1.0,
    ) -> Log:
        """Take one gradient step on pairs of frames, int64 [2, B / 2].

        Args:
            replay: Where the frames are.
            frames: Numbers of the frames, the two of a pair of the same episode.
            rate: Learning rate.
            rng: Randomness of the step.
            others: uint8 [N, S, S, 3], pictures without actions: the VAE is trained on B / 4 of them as well; the
                calibration is not.
            progress: Of the first training, 0 to 1.
        """
        first, second = frames
        actions = replay.actions
        total = actions_between(replay, first, second)[0].sum(axis=1)
        moves = Moves(*map(torch.from_numpy, (total, actions[first - 1], actions[second - 1])))
        seen = replay.frames(frames.reshape(-1))
        contexts = seen.contexts if self.vae.conditional else None
        images = seen.images
        if others is not None and len(others):
            chosen = others[np.sort(rng.integers(len(others), size=len(images) // OTHERS))]
            images = np.concatenate((images, chosen))
        assert isinstance(self.trainer, VaeTrainer)
        log = self.trainer.update(images, rate, rng, moves, contexts)
        return {name: float(value) for name, value in log.items()}

    def entry(self) -> VaeEntry:
        """Return the VAE's entry of a checkpoint."""
        return VaeEntry(self.args.latent_size, self.args.channels, likelihood=self.args.likelihood)

    def held_out_loss(self, vae: nn.Module, replay: ReplayBuffer, frames: range) -> float:
        """Return the loss of a VAE of this kind on frames that it was not trained on."""
        assert isinstance(vae, Vae)
        return vae_loss(vae, replay.images[frames.start : frames.stop], self.args.beta)

    def knows_view(self, prior: Prior, replay: ReplayBuffer, frames: range) -> bool:
        """Return whether the VAE was trained on the view that frames show."""
        assert isinstance(self.vae, Vae)
        imagined = prior.sample(np.random.default_rng(0), IMAGINED)
        return knows_view(self.vae, imagined, replay.images[frames.start : frames.stop])

    def forward(self, frames: Frames) -> Tensor:
        context = to_pixels(frames.contexts) if self.vae.conditional else None
        return self.vae.encode(to_pixels(frames.images), context)[0]

    @torch.inference_mode()
    def decode(self, latents: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Return the pictures, uint8 [B, S, S, 3], of latents [B, L]; contexts: the scenes to draw them in."""
        context = to_pixels(contexts) if self.vae.conditional else None
        return to_images(self.vae.decode(torch.from_numpy(latents), context))

    def redraw(self, frames: Frames) -> np.ndarray:
        """Encode frames and decode them again: uint8 [B, S, S, 3]."""
        return self.decode(self.encode(frames), frames.images)


def pairs(
    replay: ReplayBuffer, start: int, end: int, count: int, rng: np.random.Generator, nearest: int = 1
) -> np.ndarray:
    """Draw `count` frames of [start, end) in pairs of an episode: int64 [2, count // 2].

    The two are `nearest` to `SPAN` steps apart, fewer only at the end of an episode.
    """
    first = rng.integers(start, end, size=count // 2)
    second = np.minimum(first + rng.integers(nearest, SPAN + 1, size=len(first)), replay.last(first))
    return np.stack((first, second))


def actions_between(replay: ReplayBuffer, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the actions between frames, 0 from the second frame on: float32 [B, SPAN, A]; and how many: int64 [B]."""
    steps = first[:, None] + np.arange(SPAN)
    taken = replay.actions[np.minimum(steps, replay.size - 1)]
    return taken * (steps < second[:, None])[:, :, None], second - first
