"""A policy of one's own in the policy node's place: straight towards the goal, as far as the latents tell.

The shipped checkpoint's latents are the tool's place in actions (20 mm in 0.1 s), so their difference is a velocity.
Leave the policy node idle, arm the arm and send a goal: the arm node filters whatever comes on rig/policy/twist.
"""

import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node("my_policy")
publisher = node.create_publisher(TwistStamped, "rig/policy/twist", 1)
goal = Image()


def mean(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, np.float32)[: message.width]  # row 0; row 1 is the log-variance


def take_goal(message: Image) -> None:
    global goal
    goal = message


def act(message: Image) -> None:
    if message.header.frame_id == goal.header.frame_id:  # latents of one VAE only are compared; no goal is 0x0
        twist = TwistStamped(header=message.header)  # the stamp: of the frame that the twist rests on
        twist.header.frame_id = "base"
        x, y = np.clip(0.5 * (mean(goal) - mean(message))[:2], -1, 1) * 0.02 / 0.1
        twist.twist.linear.x, twist.twist.linear.y = float(x), float(y)
        publisher.publish(twist)


latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
node.create_subscription(Image, "rig/goal/latent", take_goal, latched)
node.create_subscription(Image, "rig/latent", act, QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT))
rclpy.spin(node)
