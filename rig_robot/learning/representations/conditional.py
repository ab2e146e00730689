"""Latents of a conditional VAE, which is told the scene: goals in the scene at hand (CC-RIG; Nair et al. 2019)."""

from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.vae.conditional_vae import ConditionalVae


class ConditionalLatent(Latent):
    """The mean of a conditional VAE's encoder; the scene is the first image of the episode."""

    deployable = False

    def make_vae(self) -> ConditionalVae:
        """Return a new conditional VAE."""
        args = self.args
        return ConditionalVae(args.image_size, args.latent_size, args.channels)
