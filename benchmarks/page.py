"""What the operator's page costs, how old its pictures are, and how soon its stop button stops the arm.

    python benchmarks/page.py

Starts `rig sim` with its page and opens it in none, one and two Chromiums without a screen. For each of these: the
CPU of one core and memory of the node `console`. With one: the age of the camera's picture when the browser has decoded
it, by the clock that camera and browser share, and the time from the space bar to the last motion of the tool (the
simulation's truth), the arm exploring; in turn with stops that this program publishes itself, to see what the page adds
to the arm's own braking and settling. With `--latency` also the ratio of the control loop's 99th percentiles with two
browsers and without the page (`control_latency.py`, twice as long as that).

The last line is one JSON object.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from rig_robot.bringup.environment import dds_profile, simulation_environment  # noqa: E402

STILL = 2e-4
"""Distance that counts as no motion [m]."""


@dataclass
class Args:
    seconds: float = 20.0
    """Time measured for each number of browsers [s]."""
    stops: int = 20
    """Number of stops."""
    latency: bool = False
    """Measure the control loop with and without the page, too."""


def main(args: Args) -> None:
    os.environ.update(simulation_environment())
    os.environ.update(dds_profile("small", os.environ))
    from page_harness import Browser, page_port  # imports rclpy, after the environment is set
    from ros_harness import Listener

    system = subprocess.Popen(
        [sys.executable, "-m", "rig_robot.cli", "sim", "--goals", "-1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        env=os.environ | simulation_environment(),
    )
    browsers: list[Any] = []
    found: dict[str, Any] = {"cpu_percent": {}, "memory_mib": {}}
    try:
        listener = Listener("page_benchmark")
        port = page_port(listener)
        console = next(
            child for child in psutil.Process(system.pid).children() if "rig_robot.nodes.console" in child.cmdline()
        )
        for number in range(3):
            if number:
                browsers.append(Browser())
                browsers[-1].open(f"http://127.0.0.1:{port}/")
                time.sleep(5.0)
            cpu, memory = load(console, args.seconds)
            found["cpu_percent"][str(number)], found["memory_mib"][str(number)] = cpu, memory
            print(f"{number} browsers: {cpu:.1f} % of a core, {memory:.0f} MiB", flush=True)
            if number == 1:
                found["picture_ms"] = summary(picture_ages(browsers[0], args.seconds))
                found |= {name: summary(took) for name, took in stops(browsers[0], listener, args.stops).items()}
        if args.latency:
            found["latency_ratio"] = latency_ratio(browsers, Browser)
    finally:
        for browser in browsers:
            browser.close()
        system.terminate()
        system.wait(20)
    print(json.dumps(found))


def load(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """Return CPU [% of one core] and memory of its own [MiB] of a process, over some seconds."""
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    share = 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
    return round(share, 1), round(process.memory_full_info().uss / 2**20, 1)


def picture_ages(browser: Any, seconds: float) -> np.ndarray:
    """Return the age of the camera's picture when it was drawn [ms], of as many as were seen."""
    seen: dict[float, float] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        drawn = browser.run("return window.rig.drawn.camera")
        seen[drawn["stamp"]] = 1000 * (drawn["at"] - drawn["stamp"])
        time.sleep(0.03)
    return np.array(list(seen.values()))


def stops(browser: Any, listener: Any, count: int) -> dict[str, np.ndarray]:
    """Stop the exploring arm again and again, by the space bar and by a message in turn.

    Returns:
        Times to the last motion [ms], each with the number of stops: from the key, and from the message's publishing.
    """
    from geometry_msgs.msg import PoseStamped
    from selenium.webdriver.common.action_chains import ActionChains
    from std_msgs.msg import Bool
    from test_page import Bench, track

    from rig_robot.ros.qos import COMMAND, STATE

    bench = Bench.__new__(Bench)
    bench.browser, bench.listener = browser, listener
    bench.poses = listener.hear(PoseStamped, "sim/tool_pose", STATE)
    publisher = listener.node.create_publisher(Bool, "rig/estop", COMMAND)
    took: dict[str, list[float]] = {"stop_ms": [], "stop_by_message_ms": []}
    for number in range(2 * count):
        bench.move()
        listener.until(bench.fast, "the arm is on its way")
        if number % 2 == 0:
            ActionChains(browser.driver).send_keys(" ").perform()
            name, end = "stop_ms", bench.motion_ends()
            began = browser.pressed_at()
        else:
            name, began = "stop_by_message_ms", time.time()
            publisher.publish(Bool(data=True))
            end = bench.motion_ends()
        took[name].append(1000 * (end - began))
        assert len(track(bench.poses)[1]) > 50, "the simulation was not heard"
        browser.until_state("STOPPED")
        browser.click(".rig-do-reset")
        browser.until_state("DISARMED")
    return {name: np.array(values) for name, values in took.items()}


def latency_ratio(browsers: list[Any], browser: Any) -> float:
    """Return the ratio of the control loop's 99th percentiles, with two browsers that look and without the page."""
    for each in browsers:
        each.close()
    browsers.clear()
    done = subprocess.run(
        [sys.executable, str(HERE / "control_latency.py"), "--page"], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout.splitlines()[-1])["p99_ratio"])


def summary(values: np.ndarray) -> dict[str, float]:
    """Return median and 99th percentile."""
    return {"median": round(float(np.median(values)), 1), "p99": round(float(np.percentile(values, 99)), 1)}


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
