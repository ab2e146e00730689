"""Examines a robot's configuration, machine and drivers for `rig doctor`, before the robot is switched on."""
