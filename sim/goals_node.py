"""Shows the robot random goal images one after the other, and measures the true distance at the end of each."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import cv2
import mujoco
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.checkpoints.config import WorkspaceEntry
from rig_robot.common.message_fields import stamp_ns, values
from rig_robot.common.modes import Mode
from rig_robot.common.output_paths import check_file, check_folder
from rig_robot.common.package_files import locate
from rig_robot.common.scene_names import SCENES
from rig_robot.learning.training.metrics import sentence, summary
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.transforms import CAMERA_FRAME
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import COMMAND, LATCHED, OBSERVATION
from rig_robot.vision.image_decoding import from_raw
from rig_sim.film import Film
from rig_sim.procedure import START_TIMEOUT, NotReady, Procedure, ProcedureNode
from rig_sim.scenes import Scenery
from rig_sim.world import CAMERA_SIZE, HOME, PUSH_VIEW, Camera, World, kinematics, view

SETTLED_MM, SETTLED_S = 2.0, 1.0
"""The tool is at rest when it has moved less than so many mm in so many seconds."""
FILM = "run.gif"
GAP = 8
"""Between the pictures of a goal [pixels]"""


class GoalsNode(ProcedureNode):
    """Sends goals, waits for each until the tool rests or the time is over, and prints and stores the figures."""

    longest = 8.0
    """Longest time for a goal [s]."""

    def __init__(self, name: str = "sim_goals") -> None:
        super().__init__(name)
        checkpoint = self.declare(
            "checkpoint", Parameter.Type.STRING, "Checkpoint: goals are drawn from its workspace."
        )
        self._goals = self.declare("goals", 0, "Goals to show before ending; 0: no end.", low=0, high=1_000_000)
        seed = self.declare("seed", 0, "Seed of the goals.", low=0, high=2**31 - 1)
        self._json = self.declare("json", "", "File for the figures; none if empty.")
        check_file("json", Path(self._json) if self._json else None)
        scene = self.declare("scene", "plain", "What goal images show beside the arm.", choices=SCENES)
        scene_seed = self.declare("scene_seed", 0, "Seed of a changing scene.", low=0, high=2**31 - 1)
        images = self.declare("images", "", "Folder for one picture a goal; none if empty.")
        self._images = Path(images) if images else None
        if self._images is not None:
            check_folder("images", self._images)
            self._images.mkdir(parents=True, exist_ok=True)

        config = read_config(locate(checkpoint))
        self._workspace, self._orientation = config.workspace, config.action.tool_orientation
        self._random = np.random.default_rng(seed)
        self._world = self.make_world()
        self._scenery = Scenery(self._world.model, scene, scene_seed)
        self._kinematics = kinematics()
        seen = PUSH_VIEW if config.vae.objects else view(config.action.axes)
        self._camera = Camera(self._world.model, *CAMERA_SIZE, seen)

        self._tool: tuple[float, np.ndarray] | None = None
        self._trail: deque[tuple[float, np.ndarray]] = deque()
        self._view: Image | None = None
        self._film = Film()
        self._shown: np.ndarray | None = None  # the goal's picture
        self._status: DiagnosticStatus | None = None
        self._goal_latent = self._acted_on = 0  # stamps of the goal, and of the frame that the arm acts on [ns]
        self._sent = 0.0
        self._arm_status = ""
        self._goal_images = self.publisher(Image, "rig/goal/image_in", COMMAND)
        self.subscribe(
            PoseStamped, "sim/tool_pose", self._take_tool, QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        )
        self.subscribe(DiagnosticStatus, "rig/goal/status", self._take_status, LATCHED)
        self.subscribe(Image, "rig/goal/latent", self._take_goal_latent, LATCHED)
        self.subscribe(DiagnosticStatus, "rig/arm/status", self._take_arm_status, LATCHED)
        if self._images is not None:
            self.subscribe(Image, "camera/image_raw", self._take_view, OBSERVATION)
        self._arm: Client = self.create_client(SetBool, "arm/set_armed")
        self._policy: Client = self.create_client(SetParameters, "policy/set_parameters")

        self._seconds: list[float] = []
        self._distances: list[tuple[float, ...]] = []
        self._finished = False

    def _procedure(self) -> Procedure[None]:
        yield from self._wait_for(lambda: self._tool is not None, "the simulation's tool pose")
        while not self._goals or len(self._distances) < self._goals:
            yield from self._make_ready(Mode.REACH)
            number = len(self._distances) + 1
            goal = self.draw_goal(self._random, self._workspace)
            self._shown = picture = self._render(goal)
            start_view = yield from self._next_view()
            took = yield from self._reach(picture)
            distances = self.distances_mm(goal)
            self._seconds.append(took)
            self._distances.append(distances)
            print(f"goal {number:3d}  {took:4.1f} s  {self.told(distances)}", flush=True)
            if self._images is not None:
                end_view = yield from self._next_view()
                panels = (start_view, "start"), (picture, "goal"), (end_view, f"end: {distances[0]:.1f} mm")
                if not _write_panels(file := self._images / f"goal_{number:04d}.png", *panels):
                    self.get_logger().error(f"{file} could not be written")
        self._finish()

    def _reach(self, picture: np.ndarray) -> Procedure[float]:
        """Send one goal and wait for its end; return how long it took [s]."""
        self._status = None
        yield from self._ask(lambda: self._send_goal(picture), lambda: self._status, "answer on rig/goal/status")
        assert self._status is not None
        if self._status.level == DiagnosticStatus.ERROR:
            raise NotReady(f"the goal was refused: {self._status.message}")
        name = values(self._status).get("goal", "")
        yield from self._wait_for(lambda: str(self._goal_latent) == name, "latent of the goal")
        # Wait until the arm acts on this goal: before that, it rests as if it had arrived.
        yield lambda: self._acted_on > self._goal_latent or self._time_is_over()
        self._trail.clear()
        yield lambda: self._at_rest() or self._time_is_over()
        return time.monotonic() - self._sent

    def _time_is_over(self) -> bool:
        return time.monotonic() - self._sent > self.longest

    def _send_goal(self, picture: np.ndarray) -> None:
        self._sent = time.monotonic()
        self._goal_images.publish(rgb_to_image(picture, self.get_clock().now().to_msg(), CAMERA_FRAME))

    def _make_ready(self, mode: Mode) -> Procedure[None]:
        """Arm the arm and set the policy's mode, also after a restart of either, since both begin idle."""
        end = time.monotonic() + START_TIMEOUT
        while self._arm_status not in ("waiting", "moving"):
            armed = yield from self._call(self._arm, SetBool.Request(data=True))
            if armed.success:
                break
            if time.monotonic() > end:
                raise NotReady(f"the arm does not arm: {armed.message}")
            again = time.monotonic() + 0.5  # joint states may not have arrived yet
            yield lambda again=again: time.monotonic() > again  # type: ignore[misc]
        wanted = Parameter("mode", value=mode).to_parameter_msg()
        answer = yield from self._call(self._policy, SetParameters.Request(parameters=[wanted]))
        if not answer.results[0].successful:
            raise NotReady(f"the policy refuses mode {mode}: {answer.results[0].reason}")
        yield from self._wait_for(self._goal_images.get_subscription_count, "goal node")

    def _at_rest(self) -> bool:
        """Return whether the tool, on fresh commands, has hardly moved for `SETTLED_S`."""
        if not self._trail or self._trail[-1][0] - self._trail[0][0] < SETTLED_S:
            return False
        places = np.array([place for _, place in self._trail])
        return bool(np.ptp(places, axis=0).max() * 1000.0 < SETTLED_MM)

    def _take_tool(self, message: PoseStamped) -> None:
        place = np.array([message.pose.position.x, message.pose.position.y, message.pose.position.z])
        now = time.monotonic()
        self._tool = (now, place)
        if self._arm_status != "moving":  # disarmed, or without fresh commands: it has not arrived
            self._trail.clear()
            return
        self._trail.append(self._tool)
        while now - self._trail[0][0] > 1.1 * SETTLED_S:
            self._trail.popleft()

    def tool_position(self) -> np.ndarray:
        """Return where the tool is [3] m."""
        assert self._tool is not None
        return self._tool[1]

    def _take_status(self, message: DiagnosticStatus) -> None:
        """Keep the answer to a sent picture; messages about imagined goals or later checks are not answers."""
        if values(message).get("source") == "image_in":
            self._status = message

    def _take_goal_latent(self, message: Image) -> None:
        self._goal_latent = stamp_ns(message.header.stamp)

    def _take_arm_status(self, message: DiagnosticStatus) -> None:
        said = values(message)
        with contextlib.suppress(KeyError, ValueError):  # anybody may publish there
            self._arm_status, self._acted_on = said["state"], int(said["rests_on"])

    def _take_view(self, message: Image) -> None:
        self._view = message
        if self._shown is not None:
            self._film.add(time.monotonic(), from_raw(message), self._shown)

    # What another task has otherwise

    def make_world(self) -> World:
        """Return the world that goals are drawn in."""
        return World()

    def draw_goal(self, rng: np.random.Generator, workspace: WorkspaceEntry) -> np.ndarray:
        """Return a random goal: here where the tool is to be [3] m."""
        return rng.uniform(workspace.low, workspace.high)

    def at_goal(self, goal: np.ndarray) -> mujoco.MjData:
        """Return the world's state in which a goal is achieved."""
        return self._world.at_rest(self.joints_at(goal))

    def distances_mm(self, goal: np.ndarray) -> tuple[float, ...]:
        """Return the true distances to a goal [mm]."""
        return (1000.0 * float(np.linalg.norm(self.tool_position() - goal)),)

    def told(self, distances: tuple[float, ...]) -> str:
        """Return a goal's distances [mm] for people."""
        return f"{distances[0]:6.1f} mm"

    def results(self, seconds: list[float], distances: list[tuple[float, ...]]) -> tuple[dict[str, Any], str]:
        """Return the figures of all goals, and a line of them for people."""
        figures = summary(seconds, [first for (first,) in distances])
        return figures, sentence(figures)

    def further_figures(self) -> dict[str, float | int]:
        """Return further figures for the file, beside the distances."""
        return {}

    def joints_at(self, position: np.ndarray) -> np.ndarray:
        """Return joint positions [7] rad with the tool at a position [3] m."""
        return self._kinematics.solve(HOME, position, self._orientation)

    def _render(self, goal: np.ndarray) -> np.ndarray:
        """Return what the camera would see where a goal is achieved: uint8 [480, 640, 3]."""
        sensor, changed = self._scenery.show_goal(self.get_clock().now().nanoseconds / 1e9)
        if changed:
            self._camera.upload_textures()
        return self._camera.render(self.at_goal(goal), sensor)

    def _next_view(self) -> Procedure[np.ndarray]:
        """Return the next camera frame, uint8 [480, 640, 3]; black where no pictures are stored.

        Wait for a new frame: the first one may come long after the tool's first pose, and an earlier one is outdated.
        """
        if self._images is None:
            return np.zeros((*CAMERA_SIZE[::-1], 3), np.uint8)
        self._view = None
        yield from self._wait_for(lambda: self._view is not None, "frame on camera/image_raw")
        assert self._view is not None
        return from_raw(self._view)

    def _finish(self) -> None:
        self._finished = True
        figures, line = self.results(self._seconds, self._distances)
        figures |= self.further_figures()
        print(f"{line}; {np.mean(self._seconds):.1f} s a goal", flush=True)
        if self._images is not None:
            self._save_film(self._images)
        if self._json:
            try:
                Path(self._json).write_text(json.dumps(figures) + "\n")
            except OSError as error:  # it was writable when the node started
                raise NotReady(f"json is {self._json}, which cannot be written: {error.strerror}; {figures}") from None

    def _save_film(self, folder: Path) -> None:
        file = folder / FILM
        try:
            saved = self._film.save(file)
        except OSError as error:
            self.get_logger().error(f"{file} could not be written: {error.strerror}")
            return
        print(f"pictures of each goal: {folder}{f'; a film of the run: {file}' if saved else ''}", flush=True)

    def stop(self) -> None:
        """Store the figures of the goals so far, since an endless series ends by Ctrl-C."""
        if self._distances and not self._finished:
            try:
                self._finish()
            except NotReady as error:
                self.get_logger().error(str(error))


def _write_panels(file: Path, *panels: tuple[np.ndarray, str]) -> bool:
    """Write pictures side by side into a file, each under its title; return whether that succeeded."""
    shown = [titled(picture, title) for picture, title in panels]
    gap = np.full((shown[0].shape[0], GAP, 3), 255, np.uint8)
    row = np.hstack([part for panel in shown for part in (panel, gap)][:-1])
    return cv2.imwrite(str(file), cv2.cvtColor(row, cv2.COLOR_RGB2BGR))


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """Return a copy of a picture, uint8 [H, W, 3], with a dark strip that holds its title above it."""
    strip = np.full((36, picture.shape[1], 3), 32, np.uint8)
    cv2.putText(strip, title, (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack((strip, picture))


def main() -> None:
    run(GoalsNode)


if __name__ == "__main__":
    main()
