"""Sawyer-reach simulation: MuJoCo world, gymnasium environments and the simulated-robot node."""

import os

if "MUJOCO_GL" not in os.environ and "DISPLAY" not in os.environ:
    os.environ["MUJOCO_GL"] = "egl"  # MuJoCo reads it when it is first imported, and would look for a display

import gymnasium

for _axes in ("xy", "xyz"):
    gymnasium.register(
        id=f"RigSawyerReach{_axes.upper()}-v0",
        entry_point="rig_sim.env:SawyerReachEnv",
        kwargs={"axes": _axes},
        max_episode_steps=50,
    )
