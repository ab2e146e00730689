"""Holds the policies of a policy node, each with the goal in the latent space of its VAE: two during a swap."""

from __future__ import annotations

from dataclasses import dataclass

from rig_robot.inference.latent import Latent
from rig_robot.inference.numpy_networks import Policy
from rig_robot.inference.object_memory import ObjectMemory, is_sure
from rig_robot.inference.object_watch import ObjectWatch
from rig_robot.inference.places import Places


@dataclass
class Pair:
    """A policy, and the goal in the latent space on which the policy was trained."""

    name: str
    """name of the checkpoint"""
    policy: Policy
    goal: Latent | None = None
    memory: ObjectMemory | None = None
    """of where the object was last clearly seen; None: there is none"""
    watch: ObjectWatch | None = None
    """of whether the object is where it can be pushed; None: there is none, or nobody knows it yet"""

    def __post_init__(self) -> None:
        config = self.policy.config
        axes = len(config.action.axes)
        if config.vae.objects and self.memory is None:
            self.memory = ObjectMemory(axes)
        if config.places is not None and config.trained and self.watch is None:
            self.watch = ObjectWatch(Places.of(config.places, axes))


class Pairs:
    """Holds at most two pairs: the one whose VAE the latents come from, and the one that is about to replace it."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.present = Pair(name, policy)
        self._held = {policy.vae_id: self.present}

    def add(self, name: str, policy: Policy) -> None:
        """Hold another policy beside the present one, or in its place if both have the same VAE."""
        known = self._held.get(policy.vae_id)
        pair = Pair(name, policy, known.goal if known else None)
        if pair.watch is not None and self.present.watch is not None:
            pair.watch.gone = self.present.watch.gone
        if policy.vae_id == self.present.policy.vae_id:
            self.present = pair
        self._held = {self.present.policy.vae_id: self.present, policy.vae_id: pair}

    def holds(self, vae_id: str) -> bool:
        """Return whether one of the held policies was trained on a VAE."""
        return vae_id in self._held

    def see(self, vae_id: str) -> None:
        """Make the pair of this VAE, whose latents now arrive, the present pair."""
        self.present = self._held.get(vae_id, self.present)

    def watch(self, stamp: float, found: Latent) -> ObjectWatch | None:
        """Let the watch of the present pair see a latent, and return it; None where nothing is watched.

        stamp: Of the frame that the latent is of [s].
        """
        watch, policy = self.present.watch, self.present.policy
        if watch is not None and found.vae_id == policy.vae_id and found.mean.size == policy.config.vae.latent_size:
            watch.see(stamp, found.mean, found.log_variance)
        return watch

    def remembering(self, found: Latent) -> Latent:
        """Return a latent with the object where it was last clearly seen, while the arm hides it."""
        pair = self._held.get(found.vae_id)
        if pair is None or pair.memory is None or found.mean.size != pair.policy.config.vae.latent_size:
            return found
        sure = is_sure(found.log_variance, len(pair.policy.config.action.axes))
        return found._replace(mean=pair.memory.fill(found.mean, sure))

    def of(self, found: Latent) -> Pair:
        """Return the pair whose policy was trained on a latent's VAE.

        Raises:
            ValueError: If no such policy is held, or the latent has another size than the policy takes.
        """
        pair = self._held.get(found.vae_id)
        if pair is None:
            trained = " and ".join(self._held)
            raise ValueError(
                f"it comes from VAE {found.vae_id}, the policy was trained on {trained}: "
                "start encoder and policy with the same checkpoint"
            )
        size = pair.policy.config.vae.latent_size
        if found.mean.size != size:
            raise ValueError(f"it has {found.mean.size} numbers, the policy takes {size}")
        return pair

    def forget_goal(self) -> None:
        """Clear the goal of all pairs."""
        for pair in self._held.values():
            pair.goal = None
