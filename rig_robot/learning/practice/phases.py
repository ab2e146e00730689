"""How a robot that practises shall learn, how far it is, and what it says of that: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GATHER, SEE, ENCODE, REHEARSE, PRACTISE, TUNE, REFIT, JUDGE, ANNOUNCE = (
    "gathering",
    "learning to see",
    "encoding",
    "rehearsing",
    "practising",
    "fine-tuning",
    "refitting",
    "judging",
    "announcing",
)
WAITING = "waiting"


@dataclass
class Notes:
    """How far it is; kept beside the networks as JSON."""

    phase: str
    present: str
    """name of the present checkpoint"""
    training: dict[str, Any]
    """of the checkpoint that it began from: how the networks are made and trained"""
    wanted: int
    """explored steps before anything is learned"""
    step: int = 0
    """in the phase"""
    after: str = ""
    """the phase that follows the encoding"""

    taken: list[str] = field(default_factory=list)
    """names of the episodes that need not be read again"""
    used: int = 0
    """episodes of them that held anything"""
    steps: int = 0
    """recorded robot steps"""
    explored: int = 0
    """of them, random ones"""
    generations: list[int] = field(default_factory=lambda: [0, 0])
    """of the files of images, trained on and held out"""

    knows: bool | None = None
    """whether the VAE has learnt to see what the robot sees; None: no episode has told, False: given up"""
    unknown: int = 0
    """episodes in a row that the VAE does not know"""
    relearning: bool = False
    """whether it learns to see another view"""

    owed: int = 0
    """updates of policy and critics for what was recorded"""
    updates: int = 0
    """of policy and critics so far"""
    since_tuned: int = 0
    """episodes since the last fine-tuning"""
    tunings: int = 0
    attempts: int = 0
    """how often new networks were begun with"""
    best_loss: float = 0.0
    """held-out loss of the present fine-tuning, and the step that it was met at"""
    best_step: int = 0

    candidate: str = ""
    """name of the checkpoint that waits for being announced"""
    verdict: str = ""
    """why it may follow the present one"""
    found: dict[str, Any] = field(default_factory=dict)
    """its figures"""
    figures: dict[str, Any] = field(default_factory=dict)
    """those of the best so far"""

    def enter(self, phase: str, after: str = "") -> None:
        """Begin a phase."""
        self.phase, self.step, self.after = phase, 0, after


@dataclass(frozen=True)
class Progress:
    """What is being done."""

    phase: str
    step: int
    of: int
    losses: dict[str, float]
    eta_s: float
    """until the end of the phase, by the time that its units have taken"""
    steps: int
    """recorded robot steps seen"""
    episodes: int
    """episodes taken"""
    checkpoint: str
    """the present one"""
    explore: str
    """whether the robot shall go on exploring before anything is learned: wanted or enough"""
    text: str
    """the last thing worth saying, a sentence"""
