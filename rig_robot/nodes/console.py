"""Console node: serves the operator's page (docs/page.md), and connects it to the running system.

The page's stop, pulse and jogging reach ROS through publishers that are called in the front server's own thread:
neither this node's executor nor the page's event loop is on their way.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Bool, Header

from rig_robot.checkpoints.checkpoint import CURRENT, resolve
from rig_robot.common.package_files import locate
from rig_robot.inference.numpy_networks import Encoder
from rig_robot.messages.diagnostics import ERROR, OK, WARN
from rig_robot.nodes.console_listener import Listener
from rig_robot.nodes.console_orders import Orders
from rig_robot.page.arm_model import ArmModel
from rig_robot.page.control import Control, Move
from rig_robot.page.desk import Desk, Outcome
from rig_robot.page.episodes import Episodes
from rig_robot.page.gallery import Gallery
from rig_robot.page.goal_pictures import GoalPictures
from rig_robot.page.heard import Heard
from rig_robot.page.server import PageServer, Settings
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.parameter_reader import ParameterReader
from rig_robot.ros.qos import COMMAND

ARM = (
    "description", "joints", "tool", "base_frame", "workspace_low", "workspace_high", "joint_states_topic", "heartbeat",
)  # fmt: skip
"""Parameters of the arm node that the page needs."""
REPEAT, REPEATS = 0.05, 20
"""Time between two stop messages [s], and how many are sent at most, while the arm has not said that it is stopped."""


class ConsoleNode(RigNode):
    """Everything that the system says -> the page; the page's orders -> the system."""

    def __init__(self) -> None:
        super().__init__("console")
        settings = self._declare_settings()
        text = "Checkpoint directory, or a root of several, by which goal pictures are judged; none if empty."
        self._checkpoint = self.declare("checkpoint", "", text)
        self._jog_speed = self.declare("jog_speed", 0.05, "Speed of the tool while jogging [m/s].", low=0.001, high=0.5)
        self._estop = self.publisher(Bool, "rig/estop", COMMAND)
        self._heartbeat = self.publisher(Header, "rig/operator/heartbeat", COMMAND)
        self._twists = self.publisher(TwistStamped, "rig/policy/twist", COMMAND)
        root = self._root()
        heard = Heard()
        self._orders = Orders(self, root)
        self.desk = Desk(
            heard=heard,
            control=Control(self._beat, self._stop_arm, self._jog),
            gallery=Gallery(),
            pictures=GoalPictures(),
            episodes=Episodes(self._episodes),
            robot=self,
            checkpoints=root,
        )
        self._listener = Listener(self, self.desk, self._load, self._orders)
        self._reader = ParameterReader(
            self, {"arm": ARM, "goal": ("max_megapixels",), "camera": ("source", "topic", "transport")}, self._know
        )
        if self._checkpoint:
            self._load("")
        else:
            self.desk.pictures.trouble = "this page was started without a checkpoint"
        self._trouble = ""
        self._server: PageServer | None = None
        try:
            self._server = PageServer(self.desk, self._take_picture, settings)
            self._tell_address(settings)
        except (ImportError, OSError) as error:
            what = f"{error.name} is not installed" if isinstance(error, ModuleNotFoundError) else str(error)
            self._trouble = f"there is no page: {what}; the rest of the system goes on"
            self.get_logger().error(self._trouble)

    def _declare_settings(self) -> Settings:
        hosts = self.declare("hosts", "", "Names for this machine in addresses, with commas between them.")
        settings = Settings(
            address=self.declare("address", "127.0.0.1", "IP address that the page listens on."),
            port=self.declare(
                "port", 8600, "Port to begin with; the first free one of 20 is taken.", low=0, high=65535
            ),
            token=self.declare("token", "", "What browsers must know; empty: a random one where others can reach it."),
            certificate=self.declare("certificate", "", "File of a TLS certificate, PEM; empty: no TLS."),
            key=self.declare("key", "", "File of the certificate's private key, PEM."),
            hosts=tuple(filter(None, (name.strip() for name in hosts.split(",")))),
        )
        settings.check()
        return settings

    def _tell_address(self, settings: Settings) -> None:
        assert self._server is not None
        self.get_logger().info(f"the operator's page: {self._server.url}")
        if self._server.token and not self._server.encrypted:
            self.get_logger().warning(
                f"{settings.address} can be reached by others and there is no certificate: whoever listens on the "
                "network can read the token"
            )

    # Called by the front server's thread

    def _stop_arm(self, who: str) -> None:
        """Send an emergency stop, and send it again until the arm says that it is stopped."""
        self._estop.publish(Bool(data=True))
        threading.Thread(target=self._repeat_stop, args=(who, time.monotonic()), daemon=True).start()

    def _repeat_stop(self, who: str, began: float) -> None:
        for _ in range(REPEATS):
            time.sleep(REPEAT)
            arm = self.desk.heard.arm
            if arm.state == "estopped" and arm.at > began:
                return
            self._estop.publish(Bool(data=True))
        self.get_logger().error(f"page {who} has asked for a stop, and the arm has not said that it is stopped")

    def _beat(self) -> None:
        self._heartbeat.publish(Header(stamp=self.get_clock().now().to_msg(), frame_id="operator"))

    def _jog(self, move: Move) -> None:
        """Send a velocity, each part from -1 to 1, through the arm's filter. It moves the arm for 0.13 s at most."""
        message = TwistStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = str(self.desk.heard.parameter("arm", "base_frame") or "base")
        linear = message.twist.linear
        linear.x, linear.y, linear.z = (self._jog_speed * part for part in move)
        self._twists.publish(message)

    def _take_picture(self, data: bytes) -> Mapping[str, Any]:
        found = self.desk.pictures.upload(data)
        return {"candidate": found.number, "doubts": found.doubts}

    # Called by the page's thread

    def tell(self, command: str) -> Future[Outcome]:
        """Give an order in the words of `rig tell`."""
        return self._orders.tell(command)

    def send_goal(self, data: bytes) -> Future[Outcome]:
        """Send a picture to the goal node, and return its answer."""
        return self._orders.send_goal(data)

    def switch(self, checkpoint: str) -> Future[Outcome]:
        """Make another checkpoint of the root current."""
        return self._orders.switch(checkpoint)

    def _episodes(self) -> Path | None:
        recorder = self.desk.heard.health.get("recorder")
        place = recorder.values.get("directory", "") if recorder else ""
        return Path(place) if place else None

    # Called by the node's own thread

    def _root(self) -> Path | None:
        """Return the root of checkpoints; None where there is but one."""
        place = locate(self._checkpoint) if self._checkpoint else None
        return place if place is not None and (place / CURRENT).is_symlink() else None

    def _load(self, name: str) -> None:
        """Load the VAE that the system runs with, in the background: a checkpoint of the root, or the only one."""
        if not self._checkpoint:
            return
        place = locate(self._checkpoint)
        directory = place / name if name and self.desk.checkpoints is not None else place
        self.run_in_background(lambda: Encoder(resolve(directory)), self._loaded)

    def _loaded(self, found: Encoder | Exception) -> None:
        if isinstance(found, Exception):
            self.desk.pictures.trouble = str(found)
            self.get_logger().error(f"goal pictures cannot be judged: {found}")
            return
        self.desk.pictures.use(found)
        self.desk.config = found.config

    def _know(self, node: str, parameters: dict[str, object]) -> None:
        """Take another node's parameters."""
        self.desk.heard.parameters[node] = parameters
        if node == "goal":
            self.desk.pictures.megapixels = float(str(parameters["max_megapixels"]))
        elif node == "arm" and parameters["description"] != "topic":
            self.run_in_background(lambda: _arm_model(parameters, str(parameters["description"])), self._drawable)

    def hear_description(self, text: str) -> None:
        """Take the robot's description from its topic, where the arm node has it from there."""
        parameters = self.desk.heard.parameters["arm"]
        self.run_in_background(lambda: _arm_model(parameters, text), self._drawable)

    def _drawable(self, found: ArmModel | Exception) -> None:
        if isinstance(found, Exception):
            self.desk.arm_trouble = f"the arm cannot be drawn: {found}"
            self.get_logger().warning(self.desk.arm_trouble)
        else:
            self.desk.arm_model = found

    def health(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return where the page is and who looks."""
        if self._server is None:
            return ERROR, self._trouble, {}
        control, gallery = self.desk.control, self.desk.gallery
        values = {"port": self._server.port, "pages open": control.open, "pages that look": gallery.viewers}
        values |= {"pictures a second": f"{1 / gallery.pace.period:.0f}"}
        needed = float(str(self.desk.heard.parameter("arm", "heartbeat") or 0.0))
        if needed and control.open and control.free:
            return WARN, "the arm needs an operator, and no open page has control", values
        return OK, f"{control.open} pages open", values

    def stop(self) -> None:
        """Close the page."""
        if self._server is not None:
            self._server.stop()


def _arm_model(parameters: Mapping[str, Any], description: str) -> ArmModel:
    """Return the arm that the arm node's parameters describe; its description is a path, or the text itself."""
    text = description if description.lstrip().startswith("<") else locate(description)
    return ArmModel(text, parameters["joints"], parameters["tool"], parameters["base_frame"])


def main() -> None:
    sys.setswitchinterval(0.001)  # so long does a stop wait for each other thread, in place of 5 ms [s]
    run(ConsoleNode)


if __name__ == "__main__":
    main()
