"""Checks the machine: versions, rendering, processors, and how late it wakes a process."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from rig_robot.doctor.check_result import Finding, fail, ok, warn

_GOVERNORS = "/sys/devices/system/cpu"
_RENDER = """
import time
import rig_sim  # chooses how to draw where the user does not
import os
print("BACKEND", os.environ.get("MUJOCO_GL") or "glfw", flush=True)
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='.1'/><light/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 480, 640)
renderer.update_scene(data)
assert renderer.render().any(), "the picture is black"
begin = time.monotonic()
for _ in range(10):
    renderer.update_scene(data)
    renderer.render()
from OpenGL import GL
print(f"RESULT {100 * (time.monotonic() - begin):.1f} {GL.glGetString(GL.GL_RENDERER).decode()}")
"""


def versions() -> Finding:
    """Report the versions of Python and of the packages that are required."""
    name, found, missing = "versions", [f"Python {platform.python_version()}"], []
    for shown, packages in {
        "rclpy": ("ros-rclpy", "rclpy", "ros-jazzy-rclpy"),
        "mujoco": ("mujoco",),
        "mink": ("mink",),
        "torch": ("torch",),
        "rig_robot": ("rig_robot",),
    }.items():
        for package in packages:
            try:
                found.append(f"{shown} {version(package)}")
                break
            except PackageNotFoundError:
                continue
        else:
            missing.append(shown)
    text = ", ".join(found)
    if "rclpy" in missing:
        return fail(name, f"{text}; no rclpy", "pip install 'rig_robot[ros]', or source your ROS 2's setup.bash")
    if missing:
        return warn(name, f"{text}; no {', '.join(missing)}", "pip install rig_robot; a robot runs without torch")
    return ok(name, text)


def rendering(sim: bool) -> Finding:
    """Check whether MuJoCo can draw: the simulation and training need it, a robot does not."""
    name = "rendering (GL)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RENDER],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ,
            process_group=0,  # Ctrl-C at the terminal reaches only the doctor, which ends this process
        )
        lines, status = done.stdout.splitlines(), f"{done.returncode}"
        errors = done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        lines, status, errors = [], "none in 60 s", []
    result = next((line.split(maxsplit=2)[1:] for line in lines if line.startswith("RESULT ")), None)
    chosen = next((line.split()[1] for line in lines if line.startswith("BACKEND ")), "")
    backend = chosen or os.environ.get("MUJOCO_GL") or "its default"
    if result is not None:
        return ok(name, f"{backend}: {result[1]}, {float(result[0]):.1f} ms for 640x480")
    found = f"MuJoCo cannot draw with {backend}: {errors[-1] if errors else f'exit status {status}'}"
    advice = "apt install libegl1 libgl1-mesa-dri (or libosmesa6, and MUJOCO_GL=osmesa); a graphics card: its driver"
    if backend == "glfw":
        advice = f"DISPLAY is {os.environ.get('DISPLAY', '')!r}, where no window opens: unset MUJOCO_GL, or {advice}"
    elif backend not in ("egl", "osmesa", "its default"):
        advice = f"MUJOCO_GL is {backend!r}: unset it, or set egl, osmesa or glfw"
    if sim:
        return fail(name, found, advice)
    return warn(name, found, f"only the simulation and training need it: {advice}")


def scheduling_latency(rate: float, seconds: float = 1.0) -> Finding:
    """Measure how late this machine, at its present load, wakes a process that sleeps until the arm's next command."""
    name = "scheduling"
    period = 1.0 / rate
    late = []
    begin = time.monotonic()
    for tick in range(1, round(seconds / period) + 1):
        due = begin + tick * period
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
    middle, high, worst = 1e3 * np.percentile(late, (50, 99, 100))
    found = (
        f"woken {middle:.2f} ms late (median), {high:.1f} (99 %), {worst:.1f} (worst) of {len(late)} wakes "
        f"{1e3 * period:g} ms apart; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    if high > 500 * period:
        return warn(
            name,
            found,
            "stop what else computes here, or set the arm's realtime_priority (docs/hardware.md): "
            "an arm node that wakes late sends late commands, and the arm moves in jerks",
        )
    return ok(name, found)


def realtime(asked: int) -> Finding:
    """Check whether the system allows the priority that the arm node asks for."""
    name = "real-time priority"
    kernel = "PREEMPT_RT kernel" if _is_realtime_kernel() else "ordinary kernel"
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if asked == 0:
        return ok(name, f"none asked for (realtime_priority 0); {kernel}, rtprio limit {limit}")
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(asked))
        os.sched_setscheduler(0, *before)
    except PermissionError:
        return warn(
            name,
            f"realtime_priority {asked} is not allowed here: the arm node would run as an ordinary process; {kernel}, "
            f"rtprio limit {limit}",
            "add `@realtime - rtprio 98` to /etc/security/limits.d/realtime.conf, yourself to the group realtime, and "
            "log in again; in a container --ulimit rtprio=98 --cap-add sys_nice",
        )
    return ok(name, f"SCHED_FIFO {asked} is allowed; {kernel}, rtprio limit {limit}")


def _is_realtime_kernel() -> bool:
    flag = Path("/sys/kernel/realtime")
    return (flag.is_file() and flag.read_text().strip() == "1") or "PREEMPT_RT" in os.uname().version


def cores(nodes: int, folder: Path = Path(_GOVERNORS)) -> Finding:
    """Check whether there are enough cores for the nodes, and whether they run at full speed."""
    name = "processor"
    count = len(os.sched_getaffinity(0))
    governors = {file.read_text().strip() for file in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    found = f"{count} cores for {nodes} nodes; governor {', '.join(sorted(governors)) or 'not told'}"
    if count < 2:
        return warn(name, found, "give it two cores or more: camera, encoder and arm must not wait for each other")
    if slow := governors & {"powersave", "conservative", "ondemand"}:
        return warn(
            name,
            found,
            f"sudo cpupower frequency-set -g performance: with {', '.join(sorted(slow))} an idle core is slow when "
            "a frame comes",
        )
    return ok(name, found)
