"""A camera of one's own: any program that publishes `camera/image_raw`, for `camera: {source: topic}`.

`python my_camera.py 0` shows what OpenCV's first camera sees; a video's name plays that. For frames of this size, Fast
DDS needs FASTDDS_DEFAULT_PROFILES_FILE=config/dds/camera.xml, or a third of them is lost.
"""

import array
import sys

import cv2
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node("my_camera")
publisher = node.create_publisher(
    Image, "camera/image_raw", QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
)
video = cv2.VideoCapture(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1])
while rclpy.ok():
    read, picture = video.read()
    if not read:
        video.set(cv2.CAP_PROP_POS_FRAMES, 0)  # a video begins again
        continue
    height, width = picture.shape[:2]
    frame = Image(height=height, width=width, encoding="bgr8", step=3 * width)
    frame.header.stamp = node.get_clock().now().to_msg()  # as near to the capture as the driver allows
    frame.header.frame_id = "camera_optical_frame"
    frame.data = array.array("B", picture.tobytes())  # not a list: that is checked byte by byte
    publisher.publish(frame)
    rclpy.spin_once(node, timeout_sec=1 / 30)
