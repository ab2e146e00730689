"""Defines how imagined goals are marked, and whether an imagined or a shown goal holds; encoder and goal node use it.

The encoder imagines a goal and uses it at once, and the goal node publishes it. A goal that a person or a program shows
at the same moment comes first. Both nodes decide by this one rule, whichever of the two goals they receive first.
"""

IMAGINED = "imagined"
"""The frame_id of an imagined goal's picture; the frame_id of its latent ends with it."""

JUST_NOW = 1.0
"""Age up to which a shown goal is not replaced by an imagined one [s]."""


def comes_too_soon(imagined_s: float, shown_s: float) -> bool:
    """Return whether a goal imagined at one time must not replace a goal shown at another: ROS time [s] both."""
    return imagined_s - shown_s < JUST_NOW
