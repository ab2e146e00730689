"""What the algorithm calls a state and a goal; one file for each kind.

To add a representation, write a file with a subclass of `base.Representation` beside the others, and add its line to
`REPRESENTATIONS`: `rig train --representation NAME` then takes it. No torch is imported until one is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rig_robot.learning.arguments import TrainArgs
    from rig_robot.learning.representations.base import Representation


class Entry(NamedTuple):
    """Where a representation is and what arguments must know about it."""

    module: str
    """file in this folder"""
    name: str
    """of the class in it, a subclass of `base.Representation`"""
    has_vae: bool = False
    """whether it is a `latent.Latent`: a VAE, with updates to count and to fine-tune"""


REPRESENTATIONS: dict[str, Entry] = {
    "latent": Entry("latent", "Latent", has_vae=True),
    "conditional": Entry("conditional", "ConditionalLatent", has_vae=True),
    "pixels": Entry("pixels", "Pixels"),
    "state": Entry("state", "State"),
}
"""By the name that `rig train --representation` takes"""


def find(name: str) -> type[Representation]:
    """Return the class of a representation."""
    entry = REPRESENTATIONS[name]
    return getattr(importlib.import_module(f"{__name__}.{entry.module}"), entry.name)


def make(args: TrainArgs, action_size: int) -> Representation:
    """Return a new representation, which has learned nothing yet, of the kind that the arguments name."""
    return find(args.representation)(args, action_size)
