"""Examine a robot before it is switched on: the parts that `rig doctor` puts together."""
