"""Whoever stands beside the robot: shows goal pictures, arms it, and reads what it says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.common.package_files import locate
from rig_robot.messages.images import rgb_to_image
from rig_robot.ros.qos import COMMAND, LATCHED
from rig_sim.world import CAMERA_SIZE, HOME, Camera, World, kinematics, view

PATIENCE = 60.0
"""Time that nodes get to answer [s]."""


class NotReady(RuntimeError):
    """The system does not answer, or refuses; the text says what and why."""


class Operator:
    """A node of the benchmark. Nothing spins in the background: time passes in `spin` and `until` only.

    Attributes:
        arm_status: (steady time [s], state, reason) of every change heard on rig/arm/status.
        complaints: (steady time [s], node, text) of everything on /diagnostics that is not OK.
    """

    def __init__(self, checkpoint: str) -> None:
        rclpy.init()
        self._node = Node("operator")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.arm_status: list[tuple[float, str, str]] = []
        self.complaints: list[tuple[float, str, str]] = []
        self.health: dict[str, float] = {}
        self._goals = self._node.create_publisher(Image, "rig/goal/image_in", COMMAND)
        self._node.create_subscription(DiagnosticStatus, "rig/arm/status", self._take_arm_status, LATCHED)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, 10)
        self._arm = self._node.create_client(SetBool, "arm/set_armed")
        self._reset = self._node.create_client(Trigger, "arm/reset_estop")
        self._set = self._node.create_client(SetParameters, "policy/set_parameters")
        self._get = self._node.create_client(GetParameters, "policy/get_parameters")
        config = read_config(locate(checkpoint))
        self.workspace, self._orientation = config.workspace, config.action.tool_orientation
        self._world, self._kinematics = World(), kinematics()
        self._camera = Camera(self._world.model, *CAMERA_SIZE, view(config.action.axes))

    def close(self) -> None:
        self._camera.close()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    @property
    def node(self) -> Node:
        return self._node

    def add(self, node: Node) -> None:
        """Let another node of the benchmark's live while time passes."""
        self._executor.add_node(node)

    def draw(self, position: np.ndarray) -> np.ndarray:
        """Return the picture with the tool at position [3] m: uint8 [480, 640, 3]."""
        q = self._kinematics.solve(HOME, position, self._orientation)
        return self._camera.render(self._world.at_rest(q))

    def show(self, picture: np.ndarray) -> None:
        """Send a goal picture."""
        self._goals.publish(rgb_to_image(picture, self._node.get_clock().now().to_msg(), "camera"))

    def make_ready(self) -> list[str]:
        """Do what is needed that the arm follows goals, and return what that was; none when nothing was."""
        acts = []
        self.until(lambda: self._goals.get_subscription_count(), "the goal node")
        self.until(lambda: self.arm_status, "status of the arm")
        if self.state == "estopped":
            self._call(self._reset, Trigger.Request())
            acts.append("reset the stop")
        # What a restarted arm said last may be its predecessor's: arming an arm that is armed does nothing.
        was = self.state
        end = time.monotonic() + PATIENCE
        while not (answer := self._call(self._arm, SetBool.Request(data=True))).success:
            if time.monotonic() > end:
                raise NotReady(f"the arm does not arm: {answer.message}")
            self.spin(0.3)
        if was in ("disarmed", "estopped"):
            acts.append("arm")
        mode = self._call(self._get, GetParameters.Request(names=["mode"])).values[0].string_value
        if mode != "reach":
            self.set_mode("reach")
            acts.append("policy to reach")
        return acts

    def set_mode(self, mode: str) -> None:
        """Set the policy's mode."""
        parameter = Parameter("mode", value=mode).to_parameter_msg()
        result = self._call(self._set, SetParameters.Request(parameters=[parameter])).results[0]
        if not result.successful:
            raise NotReady(f"the policy refuses mode {mode}: {result.reason}")

    @property
    def state(self) -> str:
        """What the arm said last."""
        return self.arm_status[-1][1] if self.arm_status else ""

    def forget(self) -> None:
        """Begin to listen anew: what a system said that has been stopped since is no answer of the next."""
        self.arm_status.clear()
        self.complaints.clear()

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Spin until the condition gives something true, which is returned."""
        end = time.monotonic() + timeout
        while not (found := condition()):
            if time.monotonic() > end:
                raise NotReady(f"no {what} within {timeout:g} s")
            self._executor.spin_once(timeout_sec=0.01)
        return found

    def _call(self, client: Any, request: Any) -> Any:
        """Call a service, again and again until it answers: a node that is starting anew may miss a call."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if client.service_is_ready():
                answer = client.call_async(request)
                again = time.monotonic() + 2.0
                while not answer.done() and time.monotonic() < again:
                    self._executor.spin_once(timeout_sec=0.05)
                if answer.done():
                    return answer.result()
            else:
                self.spin(0.05)
        raise NotReady(f"no answer of {client.srv_name} within {PATIENCE:g} s")

    def _take_arm_status(self, message: DiagnosticStatus) -> None:
        values = {item.key: item.value for item in message.values}
        told = (values["state"], values["reason"])
        if not self.arm_status or self.arm_status[-1][1:] != told:
            self.arm_status.append((time.monotonic(), *told))

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        for status in message.status:
            self.health[status.name] = now
            if status.level != DiagnosticStatus.OK:
                self.complaints.append((now, status.name, status.message))
