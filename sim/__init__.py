"""Sawyer-reach simulation: MuJoCo world, gymnasium environments and the simulated-robot node."""
