"""ROS messages from numpy arrays and back."""
