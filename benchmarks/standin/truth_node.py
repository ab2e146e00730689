"""The truth as a topic, for judges that listen: the tool's true position on `sim/tool_pose`, 100 Hz."""

from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile

from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run
from standin.ground_truth import GroundTruth


class TruthNode(RigNode):
    """Reads the file that the physics writes; no message of the robot's passes here."""

    def __init__(self) -> None:
        super().__init__("truth")
        self._truth = GroundTruth.open()
        self._poses = self.publisher(PoseStamped, "sim/tool_pose", QoSProfile(depth=1))
        self.every(0.01, self._tell)

    def _tell(self) -> None:
        motion = self._truth.now()
        if not len(motion.time):
            return
        message = PoseStamped()
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), "base"
        place = message.pose.position
        place.x, place.y, place.z = map(float, motion.tool[-1])
        self._poses.publish(message)


def main() -> None:
    run(TruthNode)


if __name__ == "__main__":
    main()
