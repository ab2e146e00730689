"""Sawyer-reach simulation: MuJoCo world, gymnasium environments and the simulated-robot node."""

import importlib
import os
import sys

from rig_robot.common import interrupts

interrupts.end_nodes_at_once()

if "MUJOCO_GL" not in os.environ and "DISPLAY" not in os.environ:
    os.environ["MUJOCO_GL"] = "egl"  # without it, MuJoCo would look for a display
    if mujoco := sys.modules.get("mujoco"):
        # MuJoCo read the variable when it was imported.
        importlib.reload(sys.modules[mujoco.Renderer.__module__].gl_context)
# Render (Mesa's llvmpipe) in the calling thread: handing so small a picture to other threads costs more than it gains,
# most of all where other processes need those cores.
os.environ.setdefault("LP_NUM_THREADS", "0")
# Do not cache shaders on disk: the cache's thread has idle priority, and the process cannot end before it. On a busy
# computer that takes 5 to 15 s; rendering starts as quickly without the cache.
os.environ.setdefault("MESA_SHADER_CACHE_DISABLE", "true")

import gymnasium  # noqa: E402

for _axes in ("xy", "xyz"):
    gymnasium.register(
        id=f"RigSawyerReach{_axes.upper()}-v0",
        entry_point="rig_sim.env:SawyerReachEnv",
        kwargs={"axes": _axes},
        max_episode_steps=50,
    )
