"""Recorder node: records each episode as a rosbag2 directory, which appears only when it is whole.

Messages are stored as they travelled, without being decoded. The executor's thread only puts them into a queue; another
thread writes them and waits for the disk.
"""

import importlib
import itertools
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_srvs.srv import SetBool

from rig_robot.checkpoints.checkpoint import read_config, resolve
from rig_robot.common.malloc_tuning import keep_large_blocks
from rig_robot.common.message_fields import values
from rig_robot.common.output_paths import check_folder
from rig_robot.common.package_files import locate
from rig_robot.messages.arm_commands import INTERFACES
from rig_robot.messages.diagnostics import ERROR, OK, WARN
from rig_robot.recording import recovery, topics
from rig_robot.recording.episode_reader import BROKEN, FORMAT
from rig_robot.recording.episode_writer import open_name
from rig_robot.recording.jpeg import COMPRESSED, RAW, compress
from rig_robot.recording.preroll import Preroll, Received
from rig_robot.recording.topics import Manner, Topic
from rig_robot.recording.write_queue import WriteQueue
from rig_robot.ros.lifecycle import ManagedNode
from rig_robot.ros.node_process import run
from rig_robot.ros.rejection_log import RejectionLog

SILENCE = 10.0
"""Time without a twist after which an episode is closed [s]: its policy has ended or sees nothing. Where the
episode goes on, its second part is recorded under its name with -2."""
PATIENCE = 5.0
"""Longest time to write the queue at the end [s]; an episode that is not closed then is recovered at the next start."""

_DEPTHS: dict[Manner, int] = {"stream": 10, "state": 100, "command": 100, "latched": 10}
"""Depth of the subscriptions, deeper than other nodes': a recorder may be late, but should miss nothing."""


class RecorderNode(ManagedNode):
    """All topics of the stack -> one directory for each episode."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self._root = Path(self.declare("directory", Parameter.Type.STRING, "Folder for the episodes.")).expanduser()
        check_folder("directory", self._root)
        checkpoint = locate(
            self.declare("checkpoint", Parameter.Type.STRING, "Checkpoint directory: it says what is recorded means.")
        )
        stack = self.declare("stack", "", "The parameters of the whole system as JSON, kept with each episode.")
        recorded = self._declare_topics()
        self._recording = self.declare(
            "recording", True, "Whether episodes are recorded; ~/record sets it.", read_only=False
        )
        min_free = self.declare(
            "min_free", 1.0, "Recording stops when the disk has less left [GiB].", low=0.1, high=1e4
        )
        queue = self.declare("queue", 256, "Memory for what waits to be written [MiB].", low=1, high=65536)

        config = read_config(checkpoint)
        self._about = {
            "rig_format": FORMAT,
            "checkpoint": resolve(checkpoint).name,
            "vae": config.vae_id,
            **{name: json.dumps(asdict(getattr(config, name))) for name in ("camera", "action", "workspace")},
            "stack": stack,
            "drops": "{}",
            "recovered": "false",
            "ended": "",
        }
        self._simulated_time = self.get_parameter("use_sim_time").value
        self._root.mkdir(parents=True, exist_ok=True)
        self._lock = recovery.Lock(self._root)
        self._left_open = recovery.left_open(self._root)
        self._names = {path.name for path in self._root.iterdir()}
        self._preroll = Preroll()
        self._rejections = RejectionLog(self.get_logger())
        self._episode: tuple[dict[str, str], int] | None = None
        self._open: str | None = None
        self._first_ns = 0
        self._last_twist = 0.0
        self._missing_before = 0
        convert = compress if self._compresses else None
        self._queue = WriteQueue(self._root, queue * 2**20, round(min_free * 2**30), convert, self._say)
        if self._left_open:
            threading.Thread(target=self._recover, name="recovery", daemon=True).start()

        self._topics = [topic._replace(name=self.resolve_topic_name(topic.name)) for topic in recorded]
        self._about["topics"] = json.dumps({topic.role: topic.name for topic in self._topics})
        for topic in self._topics:
            self._listen(topic)
        self.create_service(SetBool, "~/record", self._serve_record)
        self.add_post_set_parameters_callback(self._on_parameters)
        self.every(1.0, self._check_for_silence)
        self.begin_life()

    def _declare_topics(self) -> list[Topic]:
        """Declare the topics whose names differ between systems, and return all that are recorded."""
        camera = self.declare(
            "camera", "raw", "Camera pictures: as they come, as JPEG, or none.", choices=("raw", "jpeg", "none")
        )
        name = self.declare("camera_topic", "camera/image_raw", "Topic of the camera pictures.")
        transport = self.declare(
            "transport",
            "raw",
            "Of the camera pictures; compressed: CAMERA_TOPIC/compressed, recorded as they come.",
            choices=("raw", "compressed"),
        )
        name_of_interface = self.declare(
            "interface", "joint_trajectory", "What the arm's controller takes.", choices=tuple(INTERFACES)
        )
        interface = INTERFACES[name_of_interface]
        command = self.declare("command_topic", "", "Where it listens; the interface's usual if empty.")
        joints = self.declare("joint_states_topic", "joint_states", "Where the measured joints come from.")
        self._compresses = camera == "jpeg" and transport == "raw"
        self._heard_camera = f"{name}/compressed" if transport == "compressed" else name
        pictures = None
        if self._compresses or transport == "compressed":
            pictures = (f"{name}/compressed", COMPRESSED)
        elif camera == "raw":
            pictures = (name, RAW)
            keep_large_blocks()
        return topics.recorded(
            (command or interface.topic, interface.type_name()), joints, None if camera == "none" else pictures
        )

    def _listen(self, topic: Topic) -> None:
        name = topic.name
        if topic.role == topics.CAMERA:  # a JPEG file is recorded under another name than its raw picture
            name = self._heard_camera
        kind = RAW if topic.role == topics.CAMERA and self._compresses else topic.type
        package, _, message = kind.split("/")
        latched, reliable = topic.manner == "latched", topic.manner in ("latched", "command")
        self.create_subscription(
            getattr(importlib.import_module(f"{package}.msg"), message),
            name,
            partial(self._take, topic),
            QoSProfile(
                depth=_DEPTHS[topic.manner],
                reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            ),
            raw=True,
            event_callbacks=self._events(topic, name),
        )

    def _events(self, topic: Topic, name: str) -> SubscriptionEventCallbacks:
        """Return which events of a topic are handled; each kind costs time at every message of any topic."""
        foreign = topic.role in (topics.CAMERA, topics.COMMAND, topics.JOINTS)  # the other topics are this stack's own
        return SubscriptionEventCallbacks(
            incompatible_qos=(lambda event: self._note_conflict(name, "publisher", event)) if foreign else None,
            message_lost=None
            if topic.manner == "latched"
            else lambda event: self._lose(topic.role, event.total_count_change),
            use_default_callbacks=False,
        )

    def _take(self, topic: Topic, data: bytes, about: Mapping[str, Any]) -> None:
        """Keep a message as it travelled."""
        published = about.get("source_timestamp") or time.time_ns()
        # By the time of publication, the messages of one process on several topics stay in their order.
        log = self.get_clock().now().nanoseconds if self._simulated_time else published
        message = Received(topic.role, data, log, published)
        self._preroll.keep(topic, message)
        if self._open is not None:
            # A latched message can be older than the episode: its publisher was discovered only now.
            self._queue.take(*(message.not_before(self._first_ns) if topic.manner == "latched" else message))
        if topic.role == topics.TWIST:
            self._last_twist = time.monotonic()
            if self._open is None and self._recording and self.active:
                self._begin()
        elif topic.role == topics.EPISODE:
            self._on_episode(deserialize_message(data, DiagnosticStatus), published)

    def _on_episode(self, message: DiagnosticStatus, published: int) -> None:
        said = values(message)
        name = said.get("id", "")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,100}", name):
            self._rejections.reject(f"rig/episode: id {name!r} cannot name a directory: not recorded")
            return
        self._rejections.accept()
        if said.get("event") == "start":
            self._end("another episode has begun")
            self._episode = (said, published)
        elif self._episode is not None and self._episode[0]["id"] == name:
            self._end(said.get("why", ""))
            self._episode = None

    def on_deactivated(self) -> None:
        self._end("the recorder was deactivated")

    def _begin(self) -> None:
        """Open an episode at its first twist, with the messages of the second before."""
        if self._episode is None:
            return
        said, since = self._episode
        beginning = self._preroll.beginning(since)
        if not any(message.role == topics.TWIST for message in beginning):
            return  # the twist was the last one of the former episode
        goal = said.get("goal", "0")
        given = {key: said[key] for key in ("mode", "goal_kind", "checkpoint", "vae") if said.get(key)}
        about = {"mode": "", "goal": goal, "goal_kind": "shown" if goal != "0" else "none", "episode": said["id"]}
        self._open = self._free_name(said["id"])
        self._first_ns = beginning[0].log_ns
        self._queue.begin(self._open, self._topics, self._about | about | given)
        for message in beginning:
            self._queue.take(*message)

    def _end(self, why: str) -> None:
        if self._open is not None:
            self._queue.end(why)
            self._open = None

    def _free_name(self, name: str) -> str:
        """Return a free name for the directory of an episode, which may be recorded in parts."""
        for number in itertools.count(1):
            free = name if number == 1 else f"{name}-{number}"
            if self._names.isdisjoint((free, open_name(free), f"{free}{BROKEN}")):
                break
        self._names.add(free)
        return free

    def _lose(self, role: str, count: int) -> None:
        if self._open is not None:
            self._queue.lost(role, count)

    def _check_for_silence(self) -> None:
        if self._open is not None and time.monotonic() - self._last_twist > SILENCE:
            self._end(f"no twist for {SILENCE:g} s")

    def _serve_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.set_parameters([Parameter("recording", value=request.data)])
        response.success = True
        response.message = "episodes are recorded" if request.data else "nothing is recorded"
        return response

    def _on_parameters(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == "recording":
                self._recording = parameter.value
                if not self._recording:
                    self._end("recording was switched off")

    def _recover(self) -> None:
        for directory in self._left_open:
            try:
                became = recovery.recover(directory)
            except Exception as error:  # whatever is wrong with one of them, the others are recovered
                self._say(f"{directory} was left open and cannot be recovered: {error}", True)
            else:
                self._say(became.text, not became.whole)

    def _say(self, text: str, bad: bool) -> None:
        # rclpy allows one severity for each line of code.
        if bad:
            self.get_logger().error(text)
        else:
            self.get_logger().info(text)

    def stop(self) -> None:
        """Close the open episode; where the disk is too slow, it is recovered at the next start."""
        self._end("the recorder stops")
        if not self._queue.stop(PATIENCE):
            self._say("the disk is too slow: the open episode will be recovered at the next start", True)

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return what is recorded, or why it is not."""
        queue = self._queue
        missing, self._missing_before = queue.missing - self._missing_before, queue.missing
        details = {
            "recording": self._recording,
            "episode": self._open or "none",
            "episodes recorded": len(queue.written),
            "messages dropped": queue.missing,
            "queue [MiB]": f"{queue.queued / 2**20:.1f}",
            "longest sync [s]": f"{queue.longest_sync:.3f}",
            "directory": self._root,
        }
        if queue.trouble:
            return ERROR, queue.trouble, details
        if missing:
            return WARN, f"{missing} messages were not recorded: the disk or this computer is too slow", details
        if self._rejections.reason:
            return WARN, self._rejections.reason, details
        if not self._recording:
            return OK, "nothing is recorded: recording is switched off", details
        return OK, f"records episode {self._open}" if self._open else "waits for an episode", details


def main() -> None:
    run(RecorderNode)


if __name__ == "__main__":
    main()
