"""What the algorithm calls a state and a goal; one file for each kind.

`representation_registry.py` lists them. No torch is imported until one is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rig_robot.learning.representation_registry import REPRESENTATIONS

if TYPE_CHECKING:
    from rig_robot.learning.action_box import ActionBox
    from rig_robot.learning.arguments import TrainArgs
    from rig_robot.learning.representations.base import Representation


def find(name: str) -> type[Representation]:
    """Return the class of a representation."""
    entry = REPRESENTATIONS[name]
    return getattr(importlib.import_module(f"{__name__}.{entry.module}"), entry.name)


def make(args: TrainArgs, box: ActionBox) -> Representation:
    """Return a new representation, which has learned nothing yet, of the kind that the arguments name.

    box: What the tool moves in; it has as many axes as actions.
    """
    return find(args.representation)(args, box)
