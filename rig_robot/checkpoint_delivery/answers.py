"""Defines the messages with which a node answers an announced or a sent checkpoint."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from rig_robot.messages.diagnostics import ERROR, OK, diagnostic


class AnswerState(enum.StrEnum):
    """What a node says of a checkpoint; the values travel in the messages."""

    READY = "ready"
    """the policy has loaded the checkpoint and waits for the encoder to activate it"""
    ACTIVE = "active"
    """the encoder runs on the checkpoint"""
    CURRENT = "current"
    """the receiver has stored the checkpoint, and the robot runs on it"""
    REFUSED = "refused"
    """the node rejects the checkpoint; the message's text says why"""


class Outcome(NamedTuple):
    """Whether the robot accepted a checkpoint, and the reason in words."""

    accepted: bool
    text: str


def answer(node: str, state: AnswerState, name: str, vae_id: str, text: str) -> Any:
    """Make the message with which a node answers an announcement.

    Args:
        node: Name of the node that answers.
        state: What the node says of the checkpoint.
        name: Name of the checkpoint.
        vae_id: First 8 hex digits of the sha256 of the VAE that the answer is about.
        text: The reason in words.
    """
    level = ERROR if state == AnswerState.REFUSED else OK
    return diagnostic(node, level, text, {"checkpoint": name, "vae": vae_id, "state": state})
