"""A stand-in for a robot's hardware: a joint trajectory controller with its arm, and a RealSense camera that sees it.

It shares the MuJoCo scene with `sim/`, and no line of its controller: what is measured on it does not rest on our own
idea of how a controller behaves.
"""
