"""What the split VAE's controllable latent rests on: its errors with one part at a time left out.

    python benchmarks/clutter_parts.py

Each row is learned from the same 2,000 random steps in `lab` and measured in rooms of kinds that training never
showed, without reinforcement learning: how far clutter alone moves the latent, and the error of a linear map from it
to the tool, in mm (tool_pictures.py). `redrawn` is the error of pictures that are drawn from c of one frame and u of
another of the same room, in grey levels of 255, where the two frames differ. The last line is one JSON object: what was
left out -> each figure, one per seed.
"""

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import tyro
from tool_pictures import Line, Pictures, encoder_of, learn
from torch import Tensor, nn

from rig_robot.inference import keypoint_architecture
from rig_robot.inference.keypoint_architecture import HIDDEN, MAPS
from rig_robot.learning.methods import PLAIN_VAE
from rig_robot.learning.representations.controllable import ControllableLatent
from rig_robot.learning.rig import Rig
from rig_robot.learning.vae import augmentation, keypoints, split_vae
from rig_robot.learning.vae.keypoints import KeypointEncoder
from rig_robot.learning.vae.split_trainer import SetPoint
from rig_robot.learning.vae.vae import to_pixels

CHANGED = 20
"""Two frames differ where a channel of a pixel does by more than so many grey levels."""


class FullyConnected(KeypointEncoder):
    """The same convolutions, but a layer that sums over all places of the maps instead of their soft maxima."""

    def __init__(self, image_size: int, reach: Any) -> None:
        super().__init__(image_size, reach)
        inputs = MAPS * len(self.places)
        self.head = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(reach)))

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.convolutions(keypoints.normalise(pixels)).relu()
        return self.head(maps.flatten(1)) * self.spread


class Unbounded(SetPoint):
    """Predicts by the bare sum of the actions."""

    def _inside(self, target: Tensor) -> Tensor:
        return target


class AtOnce(SetPoint):
    """Predicts as if each action took effect before the next frame."""

    def __init__(self, reach: Tensor) -> None:
        super().__init__(reach)
        self.late = nn.Parameter(torch.tensor(-20.0), requires_grad=False)


@dataclass(frozen=True)
class Part:
    """A part that is left out."""

    changes: dict[str, Any] = field(default_factory=dict)
    """Arguments of `rig train`"""
    patches: tuple[Any, ...] = ()
    """of the code, while it learns and is measured"""


def _without(module: Any, **values: Any) -> tuple[Any, ...]:
    return tuple(patch.object(module, name, value) for name, value in values.items())


def _augmentation(**values: Any) -> Part:
    return Part(patches=_without(augmentation, **values))


def _own_context(learned: Callable[..., Any]) -> Callable[..., Any]:
    """Return an update that takes u from the frame itself, not from another frame of its episode."""

    def update(trainer: Any, images: np.ndarray, contexts: np.ndarray, *rest: Any, **named: Any) -> Any:
        return learned(trainer, images, images[: len(contexts)], *rest, **named)

    return update


def parts() -> dict[str, Part]:
    """Return what is left out, by name."""
    from rig_robot.learning.representations import controllable
    from rig_robot.learning.vae.split_trainer import SplitVaeTrainer

    return {
        "nothing": Part(),
        "actions as the anchor (proprioception instead)": Part({"anchor": "proprioception"}),
        "the split (one latent for all, a plain VAE)": Part(PLAIN_VAE),
        "the swap (u of the frame itself)": Part(
            patches=(patch.object(SplitVaeTrainer, "update", _own_context(SplitVaeTrainer.update)),)
        ),
        "walls (the bare sum of actions)": Part(patches=(patch.object(controllable, "SetPoint", Unbounded),)),
        "lateness": Part(patches=(patch.object(controllable, "SetPoint", AtOnce),)),
        "soft maxima (fully connected)": Part(patches=(patch.object(split_vae, "KeypointEncoder", FullyConnected),)),
        "the wide view (no dilation)": Part(
            patches=(
                *_without(keypoint_architecture, DILATIONS=(1, 1, 1, 1)),
                *_without(keypoints, DILATIONS=(1, 1, 1, 1)),
            )
        ),
        "smoothing": Part(patches=_without(keypoint_architecture, SMOOTHING=0)),
        "sharp maxima at first": Part(patches=_without(keypoints, SHARPNESS=0.0)),
        "each picture's normalisation": Part(patches=_without(keypoints, normalise=lambda pixels: 4 * (pixels - 0.5))),
        "all augmentation": Part({"augmentation": 0.0}),
        "augmentation's gradual beginning": Part(patches=_without(controllable, strength=lambda progress: 1.0)),
        "light and tint": _augmentation(GAIN=(0.0, 0.0), TINT=0.0),
        "contrast": _augmentation(CONTRAST=0.0),
        "ramps": _augmentation(RAMP=0.0),
        "textures": _augmentation(TEXTURED=0.0),
        "patches": _augmentation(PATCHED=0.0),
        "noise": _augmentation(NOISE=0.0),
    }


@dataclass(frozen=True)
class Args:
    seeds: int = 2
    """Of exploration and learning: seeds 0, 1 ..."""
    steps: int = 2_000
    """Random steps"""
    only: tuple[str, ...] = ()
    """Rows to measure; none: all."""


def redrawn(rig: Rig, pictures: Pictures) -> float:
    """Return the error of pictures drawn from their own c and the u of the same room with the tool elsewhere."""
    here, further = pictures.here, pictures.further
    if not isinstance(rig.representation, ControllableLatent):
        return float("nan")
    with torch.inference_mode():
        vae = rig.representation.vae
        drawn = vae.decode(vae.controllable(to_pixels(further)), to_pixels(here))
        error = (drawn - to_pixels(further)).square().numpy()
    differ = np.abs(here.astype(int) - further).max(axis=3) > CHANGED
    return 255 * float(np.sqrt(error.mean(axis=1)[differ].mean()))


def main(args: Args) -> int:
    torch.set_num_threads(1)
    pictures, line = Pictures("lab"), Line()
    result: dict[str, dict[str, list[float]]] = {}
    print(f"{'without':48} {'linear [mm]':13} {'clutter [mm]':13} {'uneven':13} {'redrawn [of 255]':14}")
    for name, part in parts().items():
        if args.only and name not in args.only:
            continue
        found: dict[str, list[float]] = {"linear_mm": [], "clutter_mm": [], "uneven": [], "redrawn": []}
        for seed in range(args.seeds):
            with ExitStack() as changed:
                for each in part.patches:
                    changed.enter_context(each)
                torch.manual_seed(seed)
                rig = learn("lab", args.steps, seed, part.changes)
                measured = pictures.measure(encoder_of(rig))
                found["linear_mm"].append(measured["linear"])
                found["clutter_mm"].append(measured["clutter"])
                found["uneven"].append(round(line.unevenness(encoder_of(rig)), 2))
                found["redrawn"].append(round(redrawn(rig, pictures), 1))
        columns = (" ".join(f"{value:.1f}" for value in values) for values in found.values())
        print(f"{name:48} " + " ".join(f"{column:13}" for column in columns), flush=True)
        result[name] = found
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, description=__doc__)))
