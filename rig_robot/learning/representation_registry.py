"""Lists the representations of state and goal, for the arguments and for whoever makes one.

To add a representation, write a file with a subclass of `representations.base.Representation` beside the others, and
add its line to `REPRESENTATIONS`: `rig train --representation NAME` then takes it.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a representation is and what arguments must know about it."""

    module: str
    """file in `representations/`"""
    name: str
    """of the class in it, a subclass of `representations.base.Representation`"""
    has_vae: bool = False
    """whether it is a `latent.Latent`: a VAE, with updates to count and to fine-tune"""


REPRESENTATIONS: dict[str, Entry] = {
    "controllable": Entry("controllable", "ControllableLatent", has_vae=True),
    "latent": Entry("latent", "Latent", has_vae=True),
    "conditional": Entry("conditional", "ConditionalLatent", has_vae=True),
    "pixels": Entry("pixels", "Pixels"),
    "state": Entry("state", "State"),
}
"""By the name that `rig train --representation` takes"""
