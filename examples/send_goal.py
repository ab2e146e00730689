"""Send a goal picture and wait until the arm is there, by topics alone: `python send_goal.py picture.png`.

The arm must be armed and the policy in mode reach. The exit status is 0 once the goal is reached, 1 if the arm stalls.
"""

import pathlib
import sys

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage

rclpy.init()
node = rclpy.create_node("send_goal")
data = pathlib.Path(sys.argv[1]).read_bytes()
answers, reports = [], []
latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
node.create_subscription(DiagnosticStatus, "rig/goal/status", answers.append, latched)
node.create_subscription(DiagnosticStatus, "rig/goal/progress", reports.append, latched)
publisher = node.create_publisher(CompressedImage, "rig/goal/image_in/compressed", 1)


def said(message: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in message.values}


while not (publisher.get_subscription_count() and node.count_publishers("rig/goal/status")):
    rclpy.spin_once(node, timeout_sec=0.1)
publisher.publish(CompressedImage(format="png", data=data))
while not [answer for answer in answers if said(answer).get("bytes") == str(len(data))]:
    rclpy.spin_once(node, timeout_sec=0.1)
print(answers[-1].message)
goal = said(answers[-1])["goal"]  # its name: the time at which it was accepted [ns]
while not (reports and said(reports[-1])["goal"] == goal and said(reports[-1])["state"] in ("reached", "stalled")):
    rclpy.spin_once(node, timeout_sec=0.1)
print(reports[-1].message)
sys.exit(said(reports[-1])["state"] != "reached")
