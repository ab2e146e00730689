"""The learning side of RIG, without ROS: models, replay, relabelling, Algorithm 1, checkpoints."""
