"""Publishes 640x480 frames at a rate, as a camera driver of others in a process of its own, with DDS's defaults."""

import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from rig_robot.messages.images import rgb_to_image


def main(rate: float) -> None:
    rclpy.init()
    node = rclpy.create_node("usb_cam")
    frames = node.create_publisher(Image, "camera/image_raw", QoSProfile(depth=10))
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    message = rgb_to_image(picture, node.get_clock().now().to_msg(), "camera")
    due = time.monotonic()
    while True:
        message.header.stamp = node.get_clock().now().to_msg()
        frames.publish(message)
        due = max(due + 1 / rate, time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(float(sys.argv[1]))
