"""The ROS 2 nodes, one a file; the thinking is in the layers below."""
