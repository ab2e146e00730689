"""Hears what the system says, for the console node. Pictures, joints and poses only while a browser looks.

These come hundreds of times a second. All but the camera's pictures, whose age counts most, are polled as often as a
page can show them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from rig_robot.checkpoint_delivery.answers import AnswerState
from rig_robot.common.message_fields import number, stamp_ns, stamp_s, values
from rig_robot.messages import latents
from rig_robot.messages.imagined_goals import IMAGINED
from rig_robot.nodes.console_orders import Orders
from rig_robot.page.desk import Desk
from rig_robot.page.heard import ArmState, Distance, Health
from rig_robot.ros.node import RigNode
from rig_robot.ros.polled_subscription import PolledSubscription
from rig_robot.ros.qos import ANSWERS, EPISODES, LATCHED, OBSERVATION, STATE
from rig_robot.vision.image_decoding import from_raw

LOOK = 0.25
"""Time between two looks whether a browser looks [s]."""
POLL = 1 / 30
"""Time between two looks for observations, latents, joints and poses [s]."""
REDRAW = 0.2
"""Time between two drawings of what the VAE makes of the view [s]."""


class Listener:
    """The console's subscriptions.

    Args:
        node: The console node.
        desk: Takes what is heard.
        load: Loads the VAE of a checkpoint, by its name.
        orders: Wait for the goal node's answers.
    """

    def __init__(self, node: RigNode, desk: Desk, load: Callable[[str], None], orders: Orders) -> None:
        self._node, self._desk, self._heard = node, desk, desk.heard
        self._load, self._orders = load, orders
        self._prefix = node.get_namespace().strip("/")
        self._vae = ""
        self._states: list[PolledSubscription] = []
        self._view: PolledSubscription | None = None
        self._camera: Any = None
        self._wanted: tuple[object, ...] = ()
        self._description: Any = None
        node.subscribe(DiagnosticStatus, "rig/arm/status", self._on_arm, LATCHED)
        node.subscribe(DiagnosticStatus, "rig/goal/status", self._on_goal_status, ANSWERS)
        node.subscribe(DiagnosticStatus, "rig/goal/progress", self._on_progress, LATCHED)
        node.subscribe(DiagnosticStatus, "rig/trainer/progress", self._on_trainer, LATCHED)
        node.subscribe(DiagnosticStatus, "rig/checkpoint/ready", self._on_ready, EPISODES)
        node.subscribe(Image, "rig/goal/image", self._on_goal, LATCHED)
        node.subscribe(Image, "rig/goal/reconstruction", self._on_reconstruction, LATCHED)
        node.subscribe(Image, "rig/goal/latent", self._on_goal_latent, LATCHED)
        node.subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10))
        self._polling = node.every(POLL, self._poll)
        self._polling.cancel()
        node.every(LOOK, self._look)

    def _look(self) -> None:
        """Subscribe to what is only worth hearing while a browser looks, and let go of it when none does."""
        arm, camera = self._heard.parameters.get("arm", {}), self._heard.parameters.get("camera", {})
        if arm.get("description") == "topic" and self._description is None:
            self._description = self._node.subscribe(String, "robot_description", self._on_description, LATCHED)
        wanted: tuple[object, ...] = ()
        if self._desk.gallery.viewers:
            wanted = (*(camera.get(key) for key in ("source", "topic", "transport")), arm.get("joint_states_topic"))
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._unsubscribe()
        if wanted:
            self._subscribe(*wanted)
            self._polling.reset()

    def _subscribe(self, source: Any, topic: Any, transport: Any, joints: Any) -> None:
        """Subscribe to the camera, as the camera node has it, and to observations, latents and the arm."""
        node = self._node
        self._states = [
            PolledSubscription(node, Image, "rig/latent", OBSERVATION, self._on_latent),
            PolledSubscription(node, PoseStamped, "rig/ee_pose", STATE, self._on_pose),
        ]
        if joints:
            self._states.append(PolledSubscription(node, JointState, str(joints), STATE, self._on_joints))
        self._view = PolledSubscription(node, Image, "rig/observation/image", OBSERVATION, self._on_observation)
        if source is not None:
            from_driver = source == "topic"
            place = str(topic) if from_driver else "camera/image_raw"
            if from_driver and transport == "compressed":
                place = f"{place}/compressed"
                self._camera = node.subscribe(CompressedImage, place, self._on_compressed, OBSERVATION)
            else:
                self._camera = node.subscribe(Image, place, self._on_camera, OBSERVATION)

    def _unsubscribe(self) -> None:
        self._polling.cancel()
        for subscription in (*self._states, *filter(None, [self._view])):
            subscription.close()
        if self._camera is not None:
            self._node.destroy_subscription(self._camera)
        self._states, self._view, self._camera = [], None, None

    def _poll(self) -> None:
        for subscription in self._states:
            subscription.poll()
        if self._view is not None and self._desk.gallery.is_due("view"):
            self._view.poll()

    # Pictures

    def _on_camera(self, message: Image) -> None:
        if self._desk.gallery.is_due("camera"):
            self._show("camera", message)

    def _on_compressed(self, message: CompressedImage) -> None:
        if self._desk.gallery.is_due("camera"):
            self._desk.gallery.show_encoded("camera", bytes(message.data), stamp_s(message.header.stamp))

    def _on_observation(self, message: Image) -> None:
        gallery = self._desk.gallery
        self._desk.scene = self._show("view", message)
        if self._desk.scene is not None and gallery.is_due("view_redrawn", REDRAW):
            redrawn = self._desk.pictures.redraw(self._desk.scene)
            gallery.show("view_redrawn", redrawn, stamp_s(message.header.stamp))

    def _on_goal(self, message: Image) -> None:
        picture = self._show("goal", message)
        self._heard.goal_name = stamp_ns(message.header.stamp) if picture is not None else 0
        if picture is not None and message.header.frame_id != IMAGINED:
            self._desk.pictures.remember(picture)

    def _on_reconstruction(self, message: Image) -> None:
        self._show("goal_redrawn", message)

    def _show(self, name: str, message: Image) -> np.ndarray | None:
        """Show a picture and return it; one without pixels is shown as none."""
        picture = None
        if message.width and message.height:
            try:
                picture = np.ascontiguousarray(from_raw(message))
            except ValueError as error:
                self._node.get_logger().warning(f"{name}: not shown: {error}", throttle_duration_sec=5.0)
                return None
        self._desk.gallery.show(name, picture, stamp_s(message.header.stamp))
        return picture

    # The arm

    def _on_arm(self, status: DiagnosticStatus) -> None:
        said = values(status)
        self._heard.arm = ArmState(said.get("state", ""), said.get("reason", ""), time.monotonic())

    def _on_joints(self, message: JointState) -> None:
        if len(message.name) == len(message.position):
            self._heard.joints = {**self._heard.joints, **dict(zip(message.name, message.position, strict=True))}

    def _on_pose(self, message: PoseStamped) -> None:
        place = message.pose.position
        self._heard.hear_tool(np.array([place.x, place.y, place.z]))

    def _on_description(self, message: String) -> None:
        self._node.hear_description(message.data)  # type: ignore[attr-defined]

    # Latents, goals and learning

    def _on_latent(self, message: Image) -> None:
        try:
            self._heard.latent = latents.from_message(message).mean
        except ValueError:
            self._heard.latent = None

    def _on_goal_latent(self, message: Image) -> None:
        try:
            found = latents.from_message(message).mean
            self._heard.goal_latent = found if found.size else None
        except ValueError:
            self._heard.goal_latent = None

    def _on_goal_status(self, status: DiagnosticStatus) -> None:
        self._heard.goal_answer = (int.from_bytes(status.level, "little"), status.message)
        self._orders.hear_goal_status(status)

    def _on_progress(self, status: DiagnosticStatus) -> None:
        said = values(status)
        self._heard.progress, self._heard.phase = status.message, said.get("state", "")
        if "distance" in said:
            latent, tool, thing = (number(said, key) for key in ("distance", "tool [mm]", "object [mm]"))
            self._heard.distances.append(Distance(time.monotonic(), latent, tool, thing))

    def _on_trainer(self, status: DiagnosticStatus) -> None:
        said = values(status)
        self._heard.trainer, self._heard.trainer_text = said, status.message
        self._heard.learning.hear(said, time.time())

    def _on_ready(self, status: DiagnosticStatus) -> None:
        """Load the VAE that the encoder has activated."""
        said = values(status)
        if said.get("state") == AnswerState.ACTIVE and said.get("vae", self._vae) != self._vae:
            self._vae = said["vae"]
            self._load(said.get("checkpoint", ""))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            space, _, name = status.name.rpartition("/")
            if space == self._prefix:
                level = int.from_bytes(status.level, "little")
                report = Health(level, status.message, values(status), time.monotonic())
                self._heard.health = {**self._heard.health, name: report}
