"""The representation for pushing, from images alone: where the tool is, and where the thing is that it can push."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from rig_robot.checkpoints.checkpoint import VaeEntry
from rig_robot.inference.keypoint_architecture import KERNELS, quadratic
from rig_robot.inference.object_network import PREFIX
from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import preset
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.controllable import ControllableLatent
from rig_robot.learning.representations.latent import UNIT
from rig_robot.learning.representations.object_choice import INDIFFERENT, smooth, table_map, unexplained
from rig_robot.learning.rl.replay_buffer import Frames, ReplayBuffer
from rig_robot.learning.vae.augmentation import strength
from rig_robot.learning.vae.object_slots import ObjectSlots, SlotTrainer
from rig_robot.learning.vae.vae import to_images, to_pixels

LEARNING_RATE, BATCH = 2e-3, 64
"""Of the slots: the greatest learning rate, and pictures per update"""
COLOURED = 600
"""Pictures of which the slots' first colours are taken"""
CHUNK = 500
"""Pictures that are encoded at a time"""


class ObjectLatent(nn.Module):
    """(c, o): the controllable latent of a split VAE, and an object's place, both in actions from the box's middle.

    c is learned first. Then slots look for things that arm and room do not explain, and contact tells which of them is
    the object and where it is.
    """

    matrix: Tensor
    back: Tensor
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
            entropy = max(0.0, 2 * progress - 1)
            log = self.trainer.update(*pictures, rate, strength(progress), entropy, rng)
        if unit + 1 == self._slot_units:
            self.choose(replay)
        return {name: float(value) for name, value in log.items()}

    def choose(self, replay: ReplayBuffer) -> dict[int, float]:
        """Take the slot whose motion contact explains best for the object; return how badly it explains each slot's.

        Slots that do not care for the tool, or move too seldom or too often to be told, are left out. Without any,
        there is no object.
        """
        self.controllable.finish(replay)
        tool, points, arm = map(np.concatenate, zip(*self._encode_all(replay), strict=True))
        self.matrix.copy_(torch.from_numpy(table_map(arm, tool)))
        found: dict[int, float] = {}
        for slot in range(self.slots.slots):
            share = unexplained(quadratic(points[:, slot]) @ self.matrix.numpy(), tool, replay)
            if share is not None and share < INDIFFERENT:
                found[slot] = share
        self.chosen.fill_(-1)
        if not found:
            return {}
        self.chosen.fill_(min(found, key=lambda slot: found[slot]))
        seen = points[:, int(self.chosen)]
        back = np.linalg.lstsq(quadratic(quadratic(seen) @ self.matrix.numpy()), seen, rcond=None)[0]
        self.back.copy_(torch.from_numpy(back))
        return found

    def entry(self) -> VaeEntry:
        """Return the VAE's entry of a checkpoint."""
        return dataclasses.replace(self.controllable.entry(), latent_size=self.size, objects=self.objects)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors of vae.safetensors: the split VAE's, and those of the slot that is the object."""
        kept = {name: tensor.numpy() for name, tensor in self.controllable.vae.state_dict().items()}
        chosen, last = int(self.chosen), f"convolutions.{2 * len(KERNELS)}."
        for name, tensor in self.slots.state_dict().items():
            of_slots = name.startswith((last, "sharpness", "opacity", "colour"))
            kept[PREFIX + name] = (tensor[chosen : chosen + 1] if of_slots else tensor).numpy()
        return kept | {f"{PREFIX}to_places": self.matrix.numpy(), f"{PREFIX}to_points": self.back.numpy()}

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
        return self._places(*self._seen(frames.images)[:2])

    def encode_all(self, replay: ReplayBuffer) -> np.ndarray:
        """Return the vectors of all frames of the buffer: float32 [size, L]."""
        return np.concatenate([self._places(*part[:2]) for part in self._encode_all(replay)])

    def settled(self, latents: np.ndarray) -> np.ndarray:
        """Return the latents of an episode, [T, L], with the object's noise taken out by the frames before and after.

        That is for the model, which would take the trembling of what stands still for its motion.
        """
        calm = smooth(latents[:, self.axes :]).astype(np.float32)
        return np.concatenate((latents[:, : self.axes], calm), axis=1)

    def _places(self, tool: np.ndarray, points: np.ndarray) -> np.ndarray:
        seen = points[:, max(0, int(self.chosen))]
        return np.concatenate((tool, quadratic(seen) @ self.matrix.numpy()), axis=1)

    def _encode_all(self, replay: ReplayBuffer) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        return [self._seen(replay.images[i : min(i + CHUNK, replay.size)]) for i in range(0, replay.size, CHUNK)]

    @torch.inference_mode()
    def _seen(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return c, the slots' points and the arm's, float32 [B, A], [B, K, 2], [B, M, 2], of images [B, S, S, 3]."""
        pixels, encoder = to_pixels(images), self.controllable.vae.controllable
        return encoder(pixels).numpy(), self.slots(pixels).numpy(), encoder.points(pixels).numpy()

    @staticmethod
    def _pictures(replay: ReplayBuffer, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw pictures, and another one of the episode of each: uint8 [count, S, S, 3] each."""
        frames = rng.integers(replay.size, size=count)
        contexts = rng.integers(replay.first[replay.episode[frames]], replay.last(frames) + 1)
        return replay.images[frames], replay.images[contexts]
