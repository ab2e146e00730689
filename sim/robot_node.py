"""Runs the simulated robot as a ROS 2 node, in place of a real robot's driver, controller and camera."""

import math
import threading
import time

import mujoco
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState, TimeReference
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from rig_robot.arm.kinematics import NotReached
from rig_robot.common.message_fields import stamp_ns
from rig_robot.common.scene_names import SCENES
from rig_robot.common.task_names import TASKS
from rig_robot.messages.diagnostics import WARN
from rig_robot.messages.images import rgb_to_image
from rig_robot.messages.transforms import CAMERA_FRAME, transform
from rig_robot.ros.node import BadParameter, RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.polled_subscription import waited
from rig_robot.ros.qos import COMMAND, OBSERVATION
from rig_robot.ros.transforms import Transforms, available
from rig_sim.push_world import PUCK_AREA, TOOL_HIGH, TOOL_LOW, PushWorld, beside
from rig_sim.robot import SimulatedRobot
from rig_sim.scenes import Scenery
from rig_sim.trajectory import Point, Refused
from rig_sim.world import (
    CAMERA_SIZE,
    FIXED_HEIGHT,
    JOINTS,
    PUSH_VIEW,
    VIEWS,
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
    Camera,
    World,
    optical_pose,
)

STATE_PERIOD = 0.01
"""Simulated time (s) between two joint states."""
PUCK_STREAM = 1
"""Beside the scene's seed: goals are drawn from the same seed, and the first puck must not stand at the first goal"""
LONGEST_LEAP = 0.1
"""Longest simulated time that is caught up at once (s); after a longer stall the rest is lost."""


class RobotNode(RigNode):
    """Publishes joint states, camera frames and the true poses of tool and puck, and follows joint trajectories.

    Physics and camera have a thread each, so that a frame being rendered does not hold up the joint states, and neither
    waits for the executor.
    """

    def __init__(self) -> None:
        super().__init__("sim")
        push = self.declare("task", "reach", "Reach, or push a puck.", choices=TASKS) == "push"
        centre = (TOOL_LOW + TOOL_HIGH) / 2 if push else [*((WORKSPACE_LOW + WORKSPACE_HIGH) / 2)[:2], FIXED_HEIGHT]
        start = self.declare(
            "start_position", [float(v) for v in centre], "Where the tool is at first (m, base frame)."
        )
        axes = self.declare("axes", "xy", "Axes of the task, each with a camera of its own.", choices=VIEWS)
        if push and axes != "xy":
            raise BadParameter(f"axes is {axes}: the task push moves along xy")
        self._view = PUSH_VIEW if push else VIEWS[axes]
        scene = self.declare("scene", "plain", "What the camera sees beside the arm.", choices=SCENES)
        scene_seed = self.declare("scene_seed", 0, "Seed of a changing scene.", low=0, high=2**31 - 1)
        self._speed = self.declare("speed", 1.0, "Simulated seconds per second.", low=0.01, high=100.0)
        text = "Time after which a puck that has left its area is put back (s); -1: not before the service ~/put_back."
        self._put_back_after = self.declare("put_back_after", 0.0, text, low=-1.0, high=3600.0)
        self._publishes_time = self.declare(
            "publish_clock", False, "Publish simulated time on /clock and stamp with it."
        )
        rate = self.declare("camera_rate", 30.0, "Frames per simulated second.", low=0.1, high=120.0)
        self._width = self.declare("image_width", CAMERA_SIZE[0], "Frame width (pixels).", low=16, high=1920)
        self._height = self.declare("image_height", CAMERA_SIZE[1], "Frame height (pixels).", low=16, high=1080)
        if self._speed != 1.0 and not self._publishes_time:
            raise BadParameter(f"speed {self._speed} needs publish_clock: others must know what time it is")
        if len(start) != 3 or not np.isfinite(start).all():
            raise BadParameter(f"start_position must be three finite numbers in metres, not {list(start)}")
        self._frame_period = 1.0 / rate

        world = PushWorld() if push else World()
        try:
            self._robot = SimulatedRobot(start, world)
        except NotReached as why:
            raise BadParameter(f"start_position: {why}") from None
        self._push_world = world if isinstance(world, PushWorld) else None
        self._random = np.random.default_rng((scene_seed, PUCK_STREAM))  # of where the puck is put
        if self._push_world is not None:
            self._put_puck(self._push_world)
        self._scenery = Scenery(self._robot.world.model, scene, scene_seed)  # only `_render` uses it
        self._lock = threading.Lock()  # protects self._robot
        self._refused = self._put_back = 0
        self._left_at: float | None = None  # simulated time at which the puck left its area; None: it is there
        self._lost_time = 0.0
        self._stepped = time.monotonic()  # when the simulated time was the robot's
        self._stopping = threading.Event()
        # Simulated time begins at the real time of the start, so that stamps in a recording are meaningful.
        self._origin = self.get_clock().now().nanoseconds

        self._make_topics(push)
        self._threads = [
            threading.Thread(target=loop, name=loop.__name__, daemon=True) for loop in (self._simulate, self._render)
        ]
        for thread in self._threads:
            thread.start()

    def _make_topics(self, push: bool) -> None:
        state_qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._joint_states = self.publisher(JointState, "joint_states", state_qos)
        self._tool_pose = self.publisher(PoseStamped, "sim/tool_pose", state_qos)
        self._puck_pose = self.publisher(PoseStamped, "sim/object_pose", state_qos) if push else None
        self._images = self.publisher(Image, "camera/image_raw", OBSERVATION)
        self._camera_info = self.publisher(CameraInfo, "camera/camera_info", OBSERVATION)
        self._time_reference = self.publisher(TimeReference, "sim/camera/time_reference", OBSERVATION)
        self._clocks = self.publisher(Clock, "/clock", state_qos) if self._publishes_time else None
        self.subscribe(JointTrajectory, "joint_trajectory_controller/joint_trajectory", self._follow, COMMAND)

        if push:
            self.create_service(Trigger, "~/put_back", self._on_put_back)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        level, text, values = super().health()
        if not all(thread.is_alive() for thread in self._threads):
            return WARN, "a thread has ended", values
        values |= {"refused trajectories": self._refused, "time lost [s]": round(self._lost_time, 3)}
        if self._push_world is not None:
            values |= {"puck put back": self._put_back}
        return level, text, values

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=2.0)

    def _follow(self, message: JointTrajectory, about: dict[str, int]) -> None:
        """Pass a trajectory to the robot, or log why it is rejected."""
        points = [
            Point(stamp_ns(point.time_from_start) / 1e9, point.positions, point.velocities) for point in message.points
        ]
        stamp = stamp_ns(message.header.stamp)
        with self._lock:
            if not stamp:  # from when it arrived, whenever this thread has got to it, but not in the past
                arrived = self._time() - waited(about["received_timestamp"], time.time_ns()) * self._speed
                begin = max(arrived, self._robot.time)
            else:
                begin = self._robot.time if self._publishes_time else self._time()
                begin += (stamp - stamp_ns(self._stamp())) / 1e9
            try:
                self._robot.follow(message.joint_names, points, begin)
            except Refused as reason:
                self._refused += 1
                self.get_logger().warning(f"trajectory refused: {reason}", throttle_duration_sec=1.0)

    def _time(self) -> float:
        """Return the simulated time now [s], between two steps of the physics, too. Call with the lock held.

        A trajectory that began at the last step instead would begin up to `STATE_PERIOD` early, each one by another
        part of it, and the arm would go unevenly.
        """
        return self._robot.time + max(0.0, time.monotonic() - self._stepped) * self._speed

    def _stamp(self) -> Time:
        """Return the time now: simulated time if it is published. Call with the lock held."""
        if self._publishes_time:
            nanoseconds = self._origin + round(1e9 * self._robot.time)
            return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
        return self.get_clock().now().to_msg()

    def _simulate(self) -> None:
        """Run the physics in step with real time and publish the arm's state; this is a thread of its own."""
        joints = JointState(name=list(JOINTS))
        pose = PoseStamped()
        pose.header.frame_id = "base"
        begin, ticks = time.monotonic(), 0
        while not self._stopping.is_set():
            ticks += 1
            due = begin + ticks * STATE_PERIOD / self._speed
            behind = time.monotonic() - due
            if behind < 0:
                time.sleep(-behind)
            elif behind * self._speed > LONGEST_LEAP:
                self._lost_time += behind
                begin += behind
                due = time.monotonic()
            with self._lock:
                self._robot.advance(ticks * STATE_PERIOD)
                self._stepped = due
                stamp = self._stamp()
                self._watch_puck()
                world = self._robot.world
                joints.position, joints.velocity = world.joint_positions.tolist(), world.joint_velocities.tolist()
                position, quaternion = world.tool_position.tolist(), world.tool_quaternion.tolist()
            joints.header.stamp = pose.header.stamp = stamp
            pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = position
            turned = pose.pose.orientation
            turned.w, turned.x, turned.y, turned.z = quaternion
            if self._clocks is not None:
                self._clocks.publish(Clock(clock=stamp))
            self._joint_states.publish(joints)
            self._tool_pose.publish(pose)
            if self._puck_pose is not None and self._push_world is not None:
                where = PoseStamped(header=pose.header)
                where.pose.position.x, where.pose.position.y = self._push_world.puck_position.tolist()
                self._puck_pose.publish(where)

    def _watch_puck(self) -> None:
        """Put a puck back that has left its area, as a person would. Call with the lock held."""
        world, now = self._push_world, self._robot.time
        if world is None or PUCK_AREA.has(world.puck_position):
            self._left_at = None
            return
        if self._left_at is None:
            self._left_at = now
            if self._put_back_after:
                self.get_logger().info("the puck has left its area")
        if self._put_back_after >= 0 and now - self._left_at >= self._put_back_after:
            self._put_puck(world)
            self._put_back += 1
            self.get_logger().info(f"the puck left its area and was put back ({self._put_back} so far)")

    def _on_put_back(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Put the puck back into its area, at random."""
        assert self._push_world is not None
        with self._lock:
            self._put_puck(self._push_world)
        self._put_back += 1
        response.success, response.message = True, "the puck is in its area"
        return response

    def _put_puck(self, world: PushWorld) -> None:
        world.put(beside(self._random, world.tool_position[:2], *PUCK_AREA))

    def _render(self) -> None:
        """Render and publish camera frames; only this thread renders, since an OpenGL context belongs to a thread."""
        model = self._robot.world.model
        camera = Camera(model, self._width, self._height, self._view)
        shown = mujoco.MjData(model)
        info = self._describe(model)
        if available():
            where = optical_pose(model, self._view)
            Transforms(self, static=True).send(transform("base", CAMERA_FRAME, self.get_clock().now().to_msg(), *where))
        begin, frames = time.monotonic(), 0
        while not self._stopping.is_set():
            frames += 1
            due = begin + frames * self._frame_period / self._speed
            behind = time.monotonic() - due
            if behind < 0:
                time.sleep(-behind)
            else:  # late frames are dropped, as a camera does
                frames += math.floor(behind * self._speed / self._frame_period)
            with self._lock:
                self._robot.show(shown)
                stamp = self._stamp()
            sensor, changed = self._scenery.show(stamp_ns(stamp) / 1e9)
            if changed:
                camera.upload_textures()
            mujoco.mj_kinematics(model, shown)
            mujoco.mj_camlight(model, shown)
            image = rgb_to_image(camera.render(shown, sensor), stamp, CAMERA_FRAME)
            info.header = image.header
            reference = TimeReference(header=image.header, source="publish")
            with self._lock:
                reference.time_ref = self._stamp()
            self._images.publish(image)
            self._camera_info.publish(info)
            self._time_reference.publish(reference)
        camera.close()

    def _describe(self, model: mujoco.MjModel) -> CameraInfo:
        """Return the camera's calibration: a pinhole whose axis goes through the centre of the picture."""
        focal = self._height / 2 / math.tan(math.radians(float(model.camera(self._view).fovy[0])) / 2)
        cx, cy = self._width / 2, self._height / 2
        return CameraInfo(
            width=self._width,
            height=self._height,
            distortion_model="plumb_bob",
            d=[0.0] * 5,
            k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
            r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        )


def main() -> None:
    run(RobotNode)


if __name__ == "__main__":
    main()
