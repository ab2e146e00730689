"""Send a goal picture as an action and wait until the arm is there: `python reach_action.py picture.png`.

The arm must be armed and the policy in mode reach. The exit status is 0 once the goal is reached, 1 if it is not.
"""

import pathlib
import sys

import rclpy
from rclpy.action import ActionClient
from rig_robot_interfaces.action import ReachGoalImage
from sensor_msgs.msg import CompressedImage

rclpy.init()
node = rclpy.create_node("reach")
client = ActionClient(node, ReachGoalImage, "goal/reach")
client.wait_for_server()
image = CompressedImage(format="png", data=pathlib.Path(sys.argv[1]).read_bytes())
goal = ReachGoalImage.Goal(image=image, timeout=30.0)
sent = client.send_goal_async(goal, lambda message: print(message.feedback.progress.text))
rclpy.spin_until_future_complete(node, sent)
ended = sent.result().get_result_async()
rclpy.spin_until_future_complete(node, ended)
result = ended.result().result
print(result.why)
sys.exit(0 if result.outcome == result.REACHED else 1)
