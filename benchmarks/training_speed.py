"""How fast networks train, beside what the bare matrix products and convolutions of the same updates take.

    python benchmarks/training_speed.py

An update of TD3 is all of `Rig.learn`: sampling, relabelling, rewards, critics, every other time actor, value and
targets, Adam. Bare is `torch.mm` alone, once for each product of activations or gradients with a weight matrix that
the forward and backward passes of such an update need: none for gradients that nobody asks for (of the inputs; of the
critic's weights on the actor's behalf). An update of the VAE is `VaeTrainer.update`: bytes to floats, loss, Adam. Bare
is its convolutions and transposed ones, forward and backward, and the products of its two linear layers; no bias,
channels side by side in memory as in the trainer. Every operand of the bare ones is there beforehand, each network has
its own, and nothing else is computed.

All run on one thread, in short turns, so that they meet the same machine. Figures are medians over the turns of CPU
time, which is what the clock shows on a machine that does nothing else; wall-clock medians stand beside. rlkit's
figures are for one thread of a like machine. The last line is one JSON object: the original's configuration, with 16
numbers to a latent (that the issue of speed was raised with).
"""

import itertools
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from rig_robot.common.malloc_tuning import keep_large_blocks
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.methods import preset
from rig_robot.learning.rig import Rig
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.vae.vae import Vae
from rig_robot.learning.vae.vae_trainer import VaeTrainer

ACTIONS, HORIZON, EPISODES = 2, 50, 100
BOX = ActionBox.of("xy", (0.45, -0.2, 0.15), (0.75, 0.2, 0.15), 0.02)
SETTINGS = {
    "original (rig-2018, latent 16)": preset("rig-2018", out=Path("unused"), latent_size=16),
    "rig-vae": preset("rig-vae", out=Path("unused")),
}
RLKIT = {"TD3": "65 to 91 updates/s", "VAE": "1,030 to 1,330 images/s (48 pixels, 16/32/64 channels)"}
Work = Callable[[], object]


@dataclass
class Args:
    turns: int = 40
    """Times that each is measured, after two turns that do not count."""
    updates: int = 8
    """Updates of TD3 in a turn; of the VAE, a quarter of that, and at least one."""
    keep: bool = True
    """Let malloc keep what is freed, as `rig train` does."""


def td3_updates(args: TrainArgs) -> Work:
    """Updates of TD3 on random walks."""
    images = np.zeros((EPISODES * (HORIZON + 1), args.image_size, args.image_size, 3), np.uint8)
    rig, rng = Rig(args, BOX, HORIZON, images), np.random.default_rng(0)
    for _ in range(EPISODES):
        latent = rng.normal(size=args.latent_size)
        rig.replay.start(latent)
        for action in rng.uniform(-1, 1, (HORIZON, ACTIONS)):
            latent = latent + 0.1 * np.resize(action, args.latent_size)
            rig.replay.append(action, latent)
    rig.prior, rig.explored = Prior.fit(rig.replay.latents), EPISODES // 2
    number = itertools.count()
    return lambda: rig.learn(rng, next(number))


class Products:
    """The matrix products of a network that is given a batch."""

    def __init__(self, batch: int, sizes: tuple[int, ...]) -> None:
        """sizes: of the input, the hidden layers, the output."""
        self.weights = [torch.randn(out, width) for width, out in itertools.pairwise(sizes)]
        self.values = [torch.randn(batch, size) for size in sizes]
        """what layers are given; of the same shapes, the gradients"""

    def forward(self) -> None:
        for x, weight in zip(self.values, self.weights, strict=False):
            torch.mm(x, weight.t())

    def backward(self, weights: bool = True, inputs: bool = False) -> None:
        for layer in reversed(range(len(self.weights))):
            slope = self.values[layer + 1]
            if weights:
                torch.mm(slope.t(), self.values[layer])
            if layer or inputs:
                torch.mm(slope, self.weights[layer])


def bare_td3(args: TrainArgs) -> Work:
    """The matrix products of updates of TD3."""

    def network(width: int, out: int) -> Products:
        return Products(args.batch, (width, *args.hidden, out))

    latent, pair = args.latent_size, 2 * args.latent_size
    actor, target_actor, value = network(pair, ACTIONS), network(pair, ACTIONS), network(pair, 1)
    critics, target_critics = ([network(pair + ACTIONS, 1) for _ in range(2)] for _ in range(2))
    predictors = [network(latent + 2 * ACTIONS, latent)] if args.tip else []
    number = itertools.count()

    def update() -> None:
        for followed in (target_actor, *target_critics, *predictors):  # where the next action leads, too
            followed.forward()
        for aim in predictors:
            aim.forward()
        for regression in (*critics, *predictors):
            regression.forward()
            regression.backward()
        if next(number) % args.policy_delay == 0:
            for climbed in (actor, critics[0], *predictors):
                climbed.forward()
            for climbed in (critics[0], *predictors):
                climbed.backward(weights=False, inputs=True)
            actor.backward()
            value.forward()
            value.backward()

    return update


def vae(args: TrainArgs) -> Vae:
    return Vae(args.image_size, args.latent_size, args.channels, args.likelihood)


def vae_updates(args: TrainArgs) -> Work:
    """Updates of the VAE."""
    rng, trainer = np.random.default_rng(0), VaeTrainer(vae(args), args.beta)
    images = rng.integers(0, 256, (args.vae_batch, args.image_size, args.image_size, 3), dtype=np.uint8)
    return lambda: trainer.update(images, 1e-4, rng)


def bare_vae(args: TrainArgs) -> Work:
    """The convolutions and matrix products of updates of the VAE."""
    made, passed = vae(args), []

    def channels_last(tensor: Tensor) -> Tensor:
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        passed.append((layer, channels_last(torch.randn_like(inputs[0])), channels_last(torch.randn_like(output))))

    layers = [layer for layer in (*made.encoder, *made.decoder) if hasattr(layer, "weight")]
    for layer in layers:
        layer.register_forward_hook(note)
    made.decode(made.encode(torch.rand(args.vae_batch, 3, args.image_size, args.image_size))[0])

    def settings(layer: nn.Module) -> tuple:
        transposed = isinstance(layer, nn.ConvTranspose2d)
        beyond = layer.output_padding if transposed else (0, 0)
        return layer.stride, (0, 0), (1, 1), transposed, beyond, 1

    work = [
        (
            x,
            slope,
            channels_last(layer.weight),
            settings(layer) if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) else None,
        )
        for layer, x, slope in passed
    ]

    def update() -> None:
        for x, _, weight, how in work:
            if how:
                torch.convolution(x, weight, None, *how)
            else:
                torch.mm(x, weight.t())
        for number, (x, slope, weight, how) in reversed(list(enumerate(work))):
            if how:
                torch.ops.aten.convolution_backward(slope, x, weight, None, *how, [number > 0, True, False])
            else:
                torch.mm(slope.t(), x)
                torch.mm(slope, weight)

    @torch.no_grad()
    def updates() -> None:
        update()

    return updates


def race(parts: dict[str, tuple[Work, int]], turns: int) -> dict[str, tuple[float, float]]:
    """Median CPU and wall-clock time [s] of each piece of work, done so many times in each turn."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for turn in range(turns + 2):
        for name, (work, times) in parts.items():
            before = time.process_time(), time.perf_counter()
            for _ in range(times):
                work()
            after = time.process_time(), time.perf_counter()
            if turn > 1:
                taken[name].append(((after[0] - before[0]) / times, (after[1] - before[1]) / times))
    return {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in taken.items()}


def main(args: Args) -> None:
    torch.set_num_threads(1)
    if args.keep:
        keep_large_blocks()
    result: dict[str, float] = {}
    for title, settings in SETTINGS.items():
        torch.manual_seed(0)
        parts = {
            "TD3": (td3_updates(settings), args.updates),
            "TD3, bare products": (bare_td3(settings), args.updates),
            "VAE": (vae_updates(settings), max(1, args.updates // 4)),
            "VAE, bare convolutions": (bare_vae(settings), max(1, args.updates // 4)),
        }
        typical = race(parts, args.turns)
        batch, images = settings.batch, settings.vae_batch
        print(f"{title}: hidden {settings.hidden}, batch {batch}; channels {settings.channels}, {images} images")
        for name, (cpu, wall) in typical.items():
            rate = f"{images / cpu:.0f} images/s" if "VAE" in name else f"{1 / cpu:.0f} updates/s"
            print(f"  {name}: {1000 * cpu:.2f} ms ({1000 * wall:.2f} ms by the clock), {rate}")
        cpu = {name: each[0] for name, each in typical.items()}
        found = {
            "td3_updates_per_s": round(1 / cpu["TD3"], 1),
            "vae_images_per_s": round(images / cpu["VAE"], 1),
            "td3_limit_fraction": round(cpu["TD3, bare products"] / cpu["TD3"], 3),
            "vae_limit_fraction": round(cpu["VAE, bare convolutions"] / cpu["VAE"], 3),
        }
        print(f"  of the limit: TD3 {found['td3_limit_fraction']:.0%}, VAE {found['vae_limit_fraction']:.0%}")
        result = result or found
    for name, rate in RLKIT.items():
        print(f"rlkit, {name} of the original's sizes: {rate}")
    print(json.dumps(result))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
