"""Options of the commands that talk to a running robot or list what it recorded and learned."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rig_robot.common.package_files import locate

# fmt: off
Word = typing.Literal[
    "arm", "disarm", "stop", "reset", "park",
    "reach", "explore", "practice", "idle", "clear",
    "recorder", "trainer",
    "record", "pause", "train", "rest", "fine-tune",
]
# fmt: on
"""First word after `rig tell`; the last line holds the deprecated words."""
Action = typing.Literal["pause", "resume", "fine-tune"]
"""Second word, after `rig tell recorder` and `rig tell trainer`."""

ACTIONS: dict[str, tuple[Action, ...]] = {"recorder": ("pause", "resume"), "trainer": ("pause", "resume", "fine-tune")}
"""The actions of each node that `rig tell` addresses by name."""
DEPRECATED = {
    "record": "recorder resume",
    "pause": "recorder pause",
    "train": "trainer resume",
    "rest": "trainer pause",
    "fine-tune": "trainer fine-tune",
}
"""Words of earlier versions, which did not name the node, and what to say instead; they go with the next version."""


EXAMPLES = 5
"""Goal pictures that come with the package"""


@dataclass(frozen=True)
class GoalOptions:
    """Send a picture to a running system as its goal: a file, an example that comes with the package, or what the
    camera sees now.

    Example: rig goal picture.png --wait"""

    picture: tyro.conf.Positional[Path | None] = None
    """PNG or JPEG file."""
    example: int | None = None
    """Number of an example: 1 to 5 are goals of the simulation (rig sim)."""
    capture: bool = False
    """Make the present view the goal."""
    wait: bool = False
    """Wait until the arm has arrived, and say how far off it is; the status is 1 where it does not arrive."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 10.0
    """Time to wait for the system and its answer [s]."""
    arrival: float = 30.0
    """Time to wait for the arm's arrival [s]."""

    def source(self) -> Path | None:
        """Return the file to send; None: the present view.

        Raises:
            ValueError: If not exactly one goal is named, or there is no example of this number.
        """
        named = [self.picture is not None, self.example is not None, self.capture]
        if sum(named) != 1:
            raise ValueError("goal: name one of a PICTURE, --example NUMBER and --capture")
        if self.example is not None:
            if not 1 <= self.example <= EXAMPLES:
                raise ValueError(f"example is {self.example}: must be 1 to {EXAMPLES}")
            return locate(f"package://rig_robot/example_goals/goal_{self.example}.png")
        return self.picture


@dataclass(frozen=True)
class TellOptions:
    """Command a running system. The arm: arm, disarm, stop (emergency stop), reset (the emergency stop), park. The
    policy: reach, explore, practice, idle. The goal: clear. The recorder: recorder pause, recorder resume. The trainer:
    trainer pause, trainer resume, trainer fine-tune. Deprecated: record, pause, train, rest, fine-tune.

    Example: rig tell arm"""

    word: tyro.conf.Positional[Word]
    """Command, or the node that the action is for."""
    action: tyro.conf.Positional[Annotated[Action | None, tyro.conf.arg(metavar="[{pause,resume,fine-tune}]")]] = None
    """After recorder: pause or resume. After trainer: pause, resume or fine-tune. Other words take no action."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 10.0
    """Time to wait for the system and its answer [s]."""

    def command(self) -> str:
        """Return the command in today's words: a deprecated word is replaced, a node's name is followed by its action.

        Raises:
            ValueError: If the word needs an action, or takes none, or takes another one.
        """
        allowed = ACTIONS.get(self.word, ())
        if allowed and self.action not in allowed:
            raise ValueError(f"tell {self.word} is followed by {self.action or 'nothing'}: say {', '.join(allowed)}")
        if self.action and not allowed:
            raise ValueError(f"tell {self.word} is followed by {self.action}: only recorder and trainer take an action")
        return DEPRECATED.get(self.word, " ".join(filter(None, (self.word, self.action))))


@dataclass(frozen=True)
class WatchOptions:
    """Print what arm, goal, trainer and recorder do, and send the operator heartbeat. If the arm requires it, Ctrl-C
    stops the arm.

    Example: rig watch --namespace left"""

    namespace: str = ""
    """ROS namespace of the robot."""


@dataclass(frozen=True)
class CheckpointsOptions:
    """List the checkpoints in a root directory with their parents and figures, or make another one the current one.

    Example: rig checkpoints practice/checkpoints --switch practice-001550"""

    root: tyro.conf.Positional[str]
    """Directory of checkpoints (of a practice: DATA/checkpoints), or package://NAME/PATH."""
    switch: str = ""
    """Name of the checkpoint to make current; a running system loads it, or rejects it with a reason."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 30.0
    """Time to wait until a running system has loaded the checkpoint [s]."""


@dataclass(frozen=True)
class BagsOptions:
    """List recorded episodes, and name those that cannot be used, with the reason. `rig bags export DIR --out DATASET`
    writes them as a dataset for other programs, `rig bags import DATASET --out DIR --like CHECKPOINT` reads one.

    Example: rig bags practice/episodes"""

    directory: tyro.conf.Positional[Path]
    """Folder of episodes (of a practice: DATA/episodes)."""


@dataclass(frozen=True)
class ExportOptions:
    """Write recorded episodes as a dataset for other programs. Each run of steps without a gap becomes an episode, with
    the camera's and the goal's picture, the tool's position and the action as a velocity.

    Example: rig bags export practice/episodes --out dataset"""

    action: tyro.conf.Positional[typing.Literal["export"]]
    """What to do."""
    directory: tyro.conf.Positional[Path]
    """Folder of episodes (of a practice: DATA/episodes)."""
    out: Path
    """New directory for the dataset."""
    to: typing.Literal["lerobot"] = "lerobot"
    """Format. lerobot: a LeRobotDataset v3.0; it needs pyarrow (pip install '.[lerobot]')."""


@dataclass(frozen=True)
class ImportOptions:
    """Write a LeRobotDataset v3.0 as recorded episodes, to train from: one camera's pictures and the tool's motion
    along the checkpoint's axes. What does not fit the checkpoint is refused by name.

    Example: rig bags import dataset --out episodes --like package://rig_robot/models/sawyer_reach_xy"""

    action: tyro.conf.Positional[typing.Literal["import"]]
    """What to do."""
    directory: tyro.conf.Positional[Path]
    """Directory of the dataset, with meta/info.json; it needs pyarrow (pip install '.[lerobot]')."""
    out: Path
    """New folder for the episodes."""
    like: str
    """Checkpoint whose camera, action and rate the dataset must fit: a directory, a root, or package://NAME/PATH."""
    image: str = ""
    """Feature with the camera's pictures, such as observation.images.front; needed where there are several."""
    unit: typing.Literal["named", "m/s", "m"] = "named"
    """Unit of the actions: m/s, m (the tool's way in a step); named: m/s where the dataset names them x.vel, y.vel."""


@dataclass(frozen=True)
class ViewOptions:
    """Compare what a camera sees with what it saw: has it moved, turned, or has the light changed? The exit status is 1
    where the view has changed. It needs no robot, and without --topic no ROS.

    Example: rig view today.png --reference before.png"""

    source: tyro.conf.Positional[Path | None] = None
    """Pictures of today: a PNG or JPEG, a folder of them, a video or a bag."""
    topic: str = ""
    """Camera topic to listen to instead; NAME/compressed: compressed pictures."""
    reference: Path | None = None
    """Pictures of before, of the same kinds: several, with whatever moves in several places."""
    checkpoint: str = ""
    """Compare with what this checkpoint's camera saw instead: a directory, a root, or package://NAME/PATH."""
    picture: Path | None = None
    """File for a picture of both views and their difference."""
    namespace: str = ""
    """ROS namespace of the topic."""
    timeout: float = 10.0
    """Longest time to listen to the topic [s]."""


@dataclass(frozen=True)
class PageOptions:
    """Serve the operator's page of a running system: one started with --no-page, or on another computer.

    Example: rig page --namespace left"""

    namespace: str = ""
    """ROS namespace of the robot."""
    checkpoint: str = ""
    """Checkpoint by which goal pictures are judged, as the system has it; empty: the system is asked for it."""
    address: str = "127.0.0.1"
    """IP address to listen on. Any but this machine's own asks browsers for a token, which is printed."""
    port: int = 8600
    """Port to begin with; the first free one of 20 is taken."""
    certificate: str = ""
    """File of a TLS certificate, PEM: the page is then served by https."""
    key: str = ""
    """File of the certificate's private key, PEM."""
    hosts: str = ""
    """Names for this machine in addresses, with commas between them, beside its own name."""
    timeout: float = 10.0
    """Time to wait for the system [s]."""
