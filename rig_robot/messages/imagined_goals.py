"""Goals that the encoder imagines beside those that people and programs show: how they are marked, and which one holds.

The encoder imagines a goal and acts as if it had been shown; the goal node tells everybody. A goal that is shown in the
same moment comes first, and both nodes decide so by this one rule, whichever of the two goals they hear of first.
"""

IMAGINED = "imagined"
"""The frame_id of an imagined goal's picture; the frame_id of its latent ends with it."""

JUST_NOW = 1.0
"""Age [s] up to which a goal that is shown is not replaced by an imagined one."""


def comes_too_soon(imagined_s: float, shown_s: float) -> bool:
    """Return whether a goal imagined at one time must not replace a goal shown at another: ROS time [s] both."""
    return imagined_s - shown_s < JUST_NOW
