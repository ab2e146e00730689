"""Learning on the robot, from recorded episodes."""
