"""Episodes on disk: written, recovered, read, and turned into transitions. Reading needs neither ROS nor torch."""
