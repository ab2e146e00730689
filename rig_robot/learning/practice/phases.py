"""Holds how far learning on the robot is, and what it reports: the phases, the notes kept on disk, the progress."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum, StrEnum
from typing import Any


class Phase(StrEnum):
    """What learning on the robot does at a time. Values stand in the saved state and on `rig/trainer/progress`."""

    GATHER = "gathering"
    """waits for enough random steps (RIG, Algorithm 1, line 1)"""
    SEE = "learning to see"
    """trains the VAE on them (line 2)"""
    ENCODE = "encoding"
    """encodes all frames anew, after which `Notes.after` follows (line 16)"""
    REHEARSE = "rehearsing"
    """updates policy and critics on the transitions of exploration (lines 10 to 14)"""
    PRACTISE = "practising"
    """updates policy and critics for each recorded step of practice (lines 10 to 14)"""
    TUNE = "fine-tuning"
    """fine-tunes the VAE (line 16)"""
    REFIT = "refitting"
    """updates policy and critics on the latents of the fine-tuned VAE"""
    JUDGE = "judging"
    """evaluates the pair of VAE and policy as a candidate, which may become a checkpoint"""
    ANNOUNCE = "announcing"
    """waits for the robot's answer to the candidate's checkpoint"""
    WAITING = "waiting"
    """has nothing to do; only reported, never kept"""
    MODEL = "modelling"
    """pushing: fits the model of what actions do"""


class ViewKnowledge(Enum):
    """Whether the VAE has learned to see what the robot sees. Values stand in the saved state."""

    UNTESTED = None
    """no episode of practice has shown it yet"""
    KNOWN = True
    GIVEN_UP = False
    """it was tried to learn the view, and the result was rejected"""

    @property
    def unfamiliar_episodes_to_explore(self) -> float:
        """How many unfamiliar episodes in a row lead to exploring the view.

        One unfamiliar episode is chance where the VAE has seen the place before; but a checkpoint from elsewhere may
        not know the place at all.
        """
        return {ViewKnowledge.UNTESTED: 1, ViewKnowledge.KNOWN: 2, ViewKnowledge.GIVEN_UP: float("inf")}[self]


class Exploration(StrEnum):
    """Whether the robot should go on exploring; as on `rig/trainer/progress`."""

    WANTED = "wanted"
    ENOUGH = "enough"


@dataclass
class Notes:
    """How far learning is; kept beside the networks as JSON."""

    phase: Phase
    present: str
    """name of the present checkpoint"""
    training: dict[str, Any]
    """of the checkpoint that learning began from: how the networks are made and trained"""
    wanted: int
    """explored steps before anything is learned"""
    step: int = 0
    """units, frames or updates done in the phase"""
    after: Phase | None = None
    """the phase that follows the encoding"""

    taken: list[str] = field(default_factory=list)
    """names of the episodes that need not be read again"""
    used: int = 0
    """how many of those episodes had any frames"""
    steps: int = 0
    """recorded robot steps"""
    explored: int = 0
    """how many of those steps were random"""
    generations: list[int] = field(default_factory=lambda: [0, 0])
    """of the files of images, trained on and held out (`FrameStore.generation`)"""

    knows: ViewKnowledge = ViewKnowledge.UNTESTED
    unknown: int = 0
    """episodes in a row whose view the VAE does not know"""
    relearning: bool = False
    """whether the VAE is being trained on another view, from its current weights"""

    owed: int = 0
    """updates of policy and critics still to do for recorded steps"""
    updates: int = 0
    """updates of policy and critics so far"""
    since_tuned: int = 0
    """episodes since the last fine-tuning; pushing: since the last judgement"""
    tune_at: int = 0
    """the number of updates from which on a fine-tuning may begin"""
    tunings: int = 0
    """fine-tunings begun"""
    seen: int = 0
    """pushing: how often it was learned to see the object; after the first time the robot seeks contact with it"""
    attempts: int = 0
    """how often learning began again with new networks"""
    best_loss: float = 0.0
    """lowest held-out loss of the present fine-tuning"""
    best_step: int = 0
    """step of the present fine-tuning at which that loss was found"""

    candidate: str = ""
    """name of the checkpoint that waits for the robot's answer"""
    verdict: str = ""
    """why the candidate was accepted"""
    found: dict[str, Any] = field(default_factory=dict)
    """the candidate's figures"""
    figures: dict[str, Any] = field(default_factory=dict)
    """the figures of the best checkpoint so far"""

    def enter(self, phase: Phase, after: Phase | None = None) -> None:
        """Begin a phase; after: the phase that follows an encoding."""
        self.phase, self.step, self.after = phase, 0, after

    def count_practised(self, every: int) -> None:
        """Count an episode of practice, of which a fine-tuning is to follow so many."""
        self.since_tuned += 1
        if self.since_tuned == every:
            self.tune_at = self.updates + self.owed

    def tuning_due(self, every: int) -> bool:
        """Return whether so many episodes were recorded since the last fine-tuning (0: never), and learned from.

        On a slow computer as many are recorded during a fine-tuning, or a judgement: without the latter, the next one
        would begin at once, and nothing would be learned in between.
        """
        return 0 < every <= self.since_tuned and (self.owed == 0 or self.updates >= self.tune_at)

    def to_json(self) -> dict[str, Any]:
        """Return the notes as JSON holds them."""
        plain = {"phase": self.phase.value, "after": self.after.value if self.after else "", "knows": self.knows.value}
        return asdict(self) | plain

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Notes:
        """Return the notes that `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: If they are not such notes.
        """
        after = Phase(saved["after"]) if saved["after"] else None
        return cls(**saved | {"phase": Phase(saved["phase"]), "after": after, "knows": ViewKnowledge(saved["knows"])})


@dataclass(frozen=True)
class Progress:
    """What is being done, as the trainer node reports it."""

    phase: Phase
    step: int
    of: int
    losses: dict[str, float]
    eta_s: float
    """seconds until the end of the phase, by the time that its units have taken"""
    steps: int
    """recorded robot steps seen"""
    episodes: int
    """episodes taken"""
    checkpoint: str
    """name of the present one"""
    explore: Exploration
    text: str
    """the last message, a sentence"""
