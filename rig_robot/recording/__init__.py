"""Writes episodes to disk, recovers and reads them, and turns them into transitions. Reading needs no ROS, no torch."""
