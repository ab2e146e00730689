"""The representation for pushing, from images alone: where the tool is, and where the thing is that it can push."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.checkpoints.config import VaeEntry
from rig_robot.inference.keypoint_architecture import KERNELS, quadratic
from rig_robot.inference.object_network import PREFIX, SURE, clearness, is_clear
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.methods import preset
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.controllable import ControllableLatent
from rig_robot.learning.representations.latent import UNIT
from rig_robot.learning.representations.object_choice import (
    INDIFFERENT,
    between,
    explain,
    shown,
    smooth,
    table_maps,
)
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.vae.augmentation import strength
from rig_robot.learning.vae.object_slots import ObjectSlots, SlotTrainer
from rig_robot.learning.vae.vae import to_images, to_pixels

LEARNING_RATE, BATCH = 2e-3, 64
"""Of the slots: the greatest learning rate, and pictures per update"""
COLOURED = 600
"""Pictures of which the slots' first colours are taken"""
JUDGED = 1_000
"""Pictures by which it is known how clearly the object is usually seen"""
LESS, MORE = 50.0, 99.0
"""Per cent of them in which the object's map is less high than is called usual; in which it is elsewhere less high.
The first is the median: a tool that pushes hides the object in a quarter of the pictures."""
CHUNK = 500
"""Pictures that are encoded at a time"""


class ObjectLatent(nn.Module):
    """(c, o): the controllable latent of a split VAE, and an object's place, both in actions from the box's middle.

    c is learned first. Then slots look for things that arm and room do not explain, and contact tells which of them is
    the object and where it is.
    """

    matrix: Tensor
    back: Tensor
    usual: Tensor
    chosen: Tensor

    def __init__(self, args: PushArgs, box: ActionBox) -> None:
        super().__init__()
        if box.size != 2:
            raise ValueError(f"the tool moves along {box.size} axes, expected 2: objects are pushed over a table")
        self.axes, self.objects, self.size = box.size, 1, 2 * box.size
        kept = {"out": args.out, "seed": args.seed, "image_size": args.image_size, "vae_updates": args.vae_updates}
        self.controllable = ControllableLatent(preset("rig", **kept), box)
        scene_size = self.controllable.vae.scene_size
        self.slots = ObjectSlots(args.image_size, args.slots, scene_size)
        self.trainer = SlotTrainer(self.slots, self.controllable.vae)
        self._slot_units = args.slot_updates // UNIT
        self.units = self.controllable.units + self._slot_units
        self.register_buffer("matrix", torch.zeros(6, box.size))
        """the map from `quadratic` of a point of the picture to a place"""
        self.register_buffer("back", torch.zeros(6, 2))
        """the map from `quadratic` of a place to a point of the picture"""
        self.register_buffer("usual", torch.ones(2))
        """how high the object's map usually is at its place, and at most elsewhere, see `clearness`"""
        self.register_buffer("chosen", torch.full((), -1))
        """number of the slot that is the object; -1: none yet"""

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """All optimisers, by the names that a saved training state has for them."""
        return {"vae_optimiser": self.controllable.trainer.optimiser, "slots_optimiser": self.trainer.optimiser}

    @property
    def found(self) -> bool:
        """Whether an object was found."""
        return bool(self.chosen >= 0)

    def fit(self, replay: ReplayBuffer, unit: int, rng: np.random.Generator) -> Log:
        """Do one unit of learning on everything in the buffer; the last one chooses the object."""
        if unit < self.controllable.units:
            return self.controllable.fit(replay, unit, rng)
        unit -= self.controllable.units
        if unit == 0 and not self.found:
            self.trainer.begin(*self._pictures(replay, COLOURED, rng), rng)
        for number in range(UNIT):
            progress = (unit + number / UNIT) / self._slot_units
            rate = LEARNING_RATE * max(min(1.0, 10 * progress) * (1 - progress), 0.005)
            pictures = self._pictures(replay, BATCH, rng)
            entropy, guidance = max(0.0, 2 * progress - 1), max(0.0, 1 - 2 * progress)
            log = self.trainer.update(*pictures, rate, strength(progress), entropy, guidance, rng)
        if unit + 1 == self._slot_units:
            self.choose(replay)
        return {name: float(value) for name, value in log.items()}

    def choose(self, replay: ReplayBuffer) -> dict[int, float]:
        """Take the slot whose motion contact explains best for the object; return how badly it explains each slot's.

        Slots that do not care for the tool, or move too seldom or too often to be told, are left out. Without any,
        there is no object.
        """
        self.controllable.finish(replay)
        parts = []
        for images in self._chunks(replay):
            tool, points, heights, arm = self._seen(images)
            parts.append((tool, points, heights.max(axis=2) - np.median(heights, axis=2), arm))
        tool, points, above, arm = (np.concatenate(part) for part in zip(*parts, strict=True))
        clear = above >= SURE * np.percentile(above, LESS, axis=0)
        maps = table_maps(arm, tool)
        explained = {
            slot: explain(shown(points[:, slot], clear[:, slot], replay), maps, tool, replay)
            for slot in range(self.slots.slots)
        }
        found = {slot: entry for slot, entry in explained.items() if entry is not None and entry[0] < INDIFFERENT}
        self.chosen.fill_(-1)
        if not found:
            return {}
        chosen = min(found, key=lambda slot: found[slot][0])
        self.chosen.fill_(chosen)
        self.matrix.copy_(torch.from_numpy(found[chosen][1]))
        seen = points[:, chosen]
        back = np.linalg.lstsq(quadratic(quadratic(seen) @ self.matrix.numpy()), seen, rcond=None)[0]
        self.back.copy_(torch.from_numpy(back))
        self._learn_usual(replay)
        return {slot: share for slot, (share, _) in found.items()}

    @torch.inference_mode()
    def _learn_usual(self, replay: ReplayBuffer) -> None:
        """Measure how clearly the object is seen in pictures spread over the buffer."""
        images = replay.images[np.linspace(0, replay.size - 1, min(replay.size, JUDGED)).astype(int)]
        heights = self.slots.heights(to_pixels(images))[:, int(self.chosen)].flatten(1)
        first, second = clearness(heights.numpy(), self.slots.places.numpy()).T
        usual = np.percentile(first, LESS), np.percentile(second, MORE)
        self.usual.copy_(torch.tensor(usual).clamp(min=1e-3))

    def entry(self) -> VaeEntry:
        """Return the VAE's entry of a checkpoint."""
        return dataclasses.replace(self.controllable.entry(), latent_size=self.size, objects=self.objects)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors of vae.safetensors: the split VAE's, and those of the slot that is the object."""
        kept = {name: tensor.numpy() for name, tensor in self.controllable.vae.state_dict().items()}
        chosen, last = max(0, int(self.chosen)), f"convolutions.{2 * len(KERNELS)}."
        for name, tensor in self.slots.state_dict().items():
            of_slots = name.startswith((last, "sharpness", "opacity", "colour"))
            kept[PREFIX + name] = (tensor[chosen : chosen + 1] if of_slots else tensor).numpy()
        learned = {"to_places": self.matrix, "to_points": self.back, "usual": self.usual}
        return kept | {PREFIX + name: tensor.numpy() for name, tensor in learned.items()}

    @torch.inference_mode()
    def redraw(self, frames: Frames) -> np.ndarray:
        """Encode frames and draw them again, object and all: uint8 [B, S, S, 3]."""
        vae, pixels = self.controllable.vae, to_pixels(frames.images)
        scene = vae.encode_scene(pixels)[0]
        maps = self.slots.maps(pixels)
        others = torch.arange(self.slots.slots) != self.chosen
        maps[:, others] = 0.0
        return to_images(self.slots.draw(vae.decode_in(vae.controllable(pixels), scene), maps, scene))

    def encode(self, frames: Frames) -> np.ndarray:
        """Return the vectors of frames: float32 [B, L]."""
        return self.look(frames)[0]

    def look(self, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of frames, float32 [B, L], and whether each shows the object clearly, bool [B]."""
        return self._look(frames.images)

    def encode_all(self, replay: ReplayBuffer) -> tuple[np.ndarray, np.ndarray]:
        """Return `look` of all frames of the buffer."""
        parts = [self._look(images) for images in self._chunks(replay)]
        latents, sure = map(np.concatenate, zip(*parts, strict=True))
        return latents, sure

    def settled(self, latents: np.ndarray, sure: np.ndarray) -> np.ndarray:
        """Return the latents of an episode, [T, L], with the object's noise taken out by the frames before and after.

        That is for the model, which would take the trembling of what stands still for its motion. While the object is
        not clearly seen, bool [T], it is where the frames before and after have it, and in between on the straight way.
        """
        places = between(latents[:, self.axes :].astype(np.float64), sure)
        return np.concatenate((latents[:, : self.axes], smooth(places).astype(np.float32)), axis=1)

    def _look(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tool, points, heights, _ = self._seen(images)
        chosen = max(0, int(self.chosen))
        latents = np.concatenate((tool, quadratic(points[:, chosen]) @ self.matrix.numpy()), axis=1)
        return latents, is_clear(heights[:, chosen], self.usual.numpy())

    @staticmethod
    def _chunks(replay: ReplayBuffer) -> list[np.ndarray]:
        return [replay.images[i : min(i + CHUNK, replay.size)] for i in range(0, replay.size, CHUNK)]

    @torch.inference_mode()
    def _seen(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return what images [B, S, S, 3] show, float32: c [B, A], the slots' points [B, K, 2] and maps before their
        soft maximum [B, K, pixels], and the arm's points [B, M, 2]."""
        pixels, encoder = to_pixels(images), self.controllable.vae.controllable
        heights = self.slots.heights(pixels).flatten(2)
        points = heights.softmax(dim=2) @ self.slots.places
        return encoder(pixels).numpy(), points.numpy(), heights.numpy(), encoder.points(pixels).numpy()

    @staticmethod
    def _pictures(replay: ReplayBuffer, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw pictures, and another one of the episode of each: uint8 [count, S, S, 3] each."""
        frames = rng.integers(replay.size, size=count)
        contexts = rng.integers(replay.first[replay.episode[frames]], replay.last(frames) + 1)
        return replay.images[frames], replay.images[contexts]
