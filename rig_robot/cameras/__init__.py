"""Camera drivers: each gives frames with their capture stamp, and none knows ROS.

`capture.py` runs a driver in a thread and reconnects; `realsense.py`, `v4l2.py` and `file.py` are the drivers.
"""
