"""The operator's page: what the robot sees and does, in a browser, and buttons to steer and stop it. Imports no ROS.

The node `console` (rig_robot/nodes/console.py) connects it to the running system; docs/page.md describes it.
"""
