"""The policies that a policy node holds, each with the goal as its own VAE sees it: two, while a checkpoint changes."""

from __future__ import annotations

from dataclasses import dataclass

from rig_robot.inference.latent import Latent
from rig_robot.inference.numpy_networks import Policy


@dataclass
class Pair:
    """A policy, and the goal in the latent space that it was trained on."""

    name: str
    """of the checkpoint"""
    policy: Policy
    goal: Latent | None = None


class Pairs:
    """At most two pairs: the one whose VAE the latents come from, and the one that is about to follow it."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.present = Pair(name, policy)
        self._held = {policy.vae_id: self.present}

    def add(self, name: str, policy: Policy) -> None:
        """Hold another policy beside the present one; of the same VAE: in its place."""
        known = self._held.get(policy.vae_id)
        pair = Pair(name, policy, known.goal if known else None)
        if policy.vae_id == self.present.policy.vae_id:
            self.present = pair
        self._held = {self.present.policy.vae_id: self.present, policy.vae_id: pair}

    def holds(self, vae_id: str) -> bool:
        """Whether a policy here was trained on that VAE."""
        return vae_id in self._held

    def see(self, vae_id: str) -> None:
        """Note which VAE the latents come from."""
        self.present = self._held.get(vae_id, self.present)

    def of(self, found: Latent) -> Pair:
        """Return the pair that a latent belongs to.

        Raises:
            ValueError: If no policy here was trained on its VAE, or it has another size.
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
        """There is no goal any more, in nobody's eyes."""
        for pair in self._held.values():
            pair.goal = None
