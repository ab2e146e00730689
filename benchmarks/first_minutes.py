"""How long a newcomer waits, step by step: from a fresh clone to the first motion of the arm that a browser shows.

    python benchmarks/first_minutes.py

Clones this repository into an empty folder, installs it there with `make`, runs `make sim`, and opens the operator's
page in a Chromium without a screen. The last step ends when the page says MOVING and its picture of the camera has
changed. Packages come from pip's cache where it has them: run this twice to measure with a warm one. What is not
committed is not cloned.

The last line is one JSON object, in seconds.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

STARTS_S = 120.0
"""Longest time for the system to start, and for the arm to move [s]."""
CHANGED = 1.0
"""Mean difference of two screenshots of the camera's picture from which something has moved [of 255]."""


@dataclass
class Args:
    repository: str = str(HERE.parent)
    """What to clone: a folder or an address."""


class Steps:
    """Times steps that follow each other, and prints each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def end(self, name: str) -> None:
        """End the present step, which has this name."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._began, 1)
        self._began = now
        print(f"{self.seconds[name]:7.1f} s  {name}", flush=True)


def main(args: Args) -> None:
    steps = Steps()
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "rig_robot"
        # What this interpreter finds its own packages by must not lend them to the clone.
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        subprocess.run(["git", "clone", "--quiet", args.repository, str(clone)], check=True)
        steps.end("clone")
        subprocess.run(["make", "--silent", "-C", str(clone), ".venv/.installed"], env=environment, check=True)
        steps.end("install")
        log = clone / "sim.log"
        with log.open("wb") as output:
            system = subprocess.Popen(
                ["make", "--silent", "-C", str(clone), "sim"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            watch(system, log, steps)
        finally:
            os.killpg(system.pid, signal.SIGINT)
            system.wait(30)
    total = round(sum(steps.seconds.values()), 1)
    print(f"{total:7.1f} s  in all")
    print(json.dumps(steps.seconds | {"total": total}))


def watch(system: subprocess.Popen[bytes], log: Path, steps: Steps) -> None:
    """Wait for the page and for the arm's first motion on it."""
    from page_harness import Browser

    url = until(lambda: _url(system, log), "the page's address")
    until(lambda: _answers(url), "the page answers")
    steps.end("start of the stack")
    browser = Browser()
    try:
        browser.open(url)
        steps.end("start of the browser")
        until(lambda: browser.run("return window.rig.drawn.camera?.count"), "a picture of the camera")
        first = _camera(browser)

        def moves() -> bool:
            return browser.text(".rig-state") == "MOVING" and float(np.abs(_camera(browser) - first).mean()) > CHANGED

        until(moves, "the arm moves on the page")
        steps.end("first motion")
    finally:
        browser.close()


def until(condition: Any, what: str) -> Any:
    """Wait until a condition holds, and return what it gave."""
    end = time.monotonic() + STARTS_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"after {STARTS_S:g} s still not: {what}")
        time.sleep(0.05)
    return found


def _url(system: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address of the page once the system has printed it."""
    text = log.read_text(errors="replace")
    if system.poll() is not None:
        raise SystemExit(f"the system has ended with status {system.returncode}; it says:\n{text[-3000:]}")
    found = re.search(r"the operator's page: (http\S+)", text)
    return found[1] if found else ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _camera(browser: Any) -> np.ndarray:
    """Return a screenshot of the camera's picture, float32 [H, W, 3]."""
    data = browser.driver.find_element("css selector", ".rig-camera").screenshot_as_png
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(np.float32)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
