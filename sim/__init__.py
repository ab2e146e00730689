"""Sawyer-reach simulation: MuJoCo world, gymnasium environments and the simulated-robot node."""

import importlib
import os
import sys

if "MUJOCO_GL" not in os.environ and "DISPLAY" not in os.environ:
    os.environ["MUJOCO_GL"] = "egl"  # without it, MuJoCo would look for a display
    if mujoco := sys.modules.get("mujoco"):
        # It has read the variable already, when it was imported.
        importlib.reload(sys.modules[mujoco.Renderer.__module__].gl_context)
# Software rendering (Mesa's llvmpipe) in the calling thread: handing so small a picture to other threads costs more
# than it gains, most of all where other processes want those cores.
os.environ.setdefault("LP_NUM_THREADS", "0")

import gymnasium

for _axes in ("xy", "xyz"):
    gymnasium.register(
        id=f"RigSawyerReach{_axes.upper()}-v0",
        entry_point="rig_sim.env:SawyerReachEnv",
        kwargs={"axes": _axes},
        max_episode_steps=50,
    )
