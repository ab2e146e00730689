"""Runs a checkpoint on the robot, without torch: networks in numpy, goals for each VAE, exploration, pace."""
