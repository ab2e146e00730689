"""Camera drivers: each gives frames with their capture stamp, and none knows ROS.

`capture.py` runs a driver in a thread and reconnects; `registry.py` lists the drivers.
"""
