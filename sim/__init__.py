"""Sawyer-reach simulation: MuJoCo world, gymnasium environments and the simulated-robot node."""

import ctypes
import importlib
import os
import sys

from rig_robot.common import interrupts

interrupts.end_nodes_at_once()


def _has_egl() -> bool:
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True


if not os.environ.get("MUJOCO_GL") and ("DISPLAY" not in os.environ or _has_egl()):
    # MuJoCo would open a window on the display, which may be one that does not answer (an ssh session that has ended).
    os.environ["MUJOCO_GL"] = "egl"
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
gymnasium.register(id="RigSawyerPushXY-v0", entry_point="rig_sim.push_env:SawyerPushEnv", max_episode_steps=100)
