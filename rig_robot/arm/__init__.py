"""The robot side, without ROS and torch: kinematics, the safety filter, cameras."""
