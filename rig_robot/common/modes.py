"""Names what the policy node can be told to do."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Value of the policy node's parameter `mode`, and the mode of an episode."""

    IDLE = "idle"
    """nothing; only of the node"""
    EXPLORE = "explore"
    """moves at random"""
    PRACTICE = "practice"
    """explores, then goes to imagined goals with noise; an episode of it: the latter"""
    REACH = "reach"
    """goes to the goal that is shown"""
