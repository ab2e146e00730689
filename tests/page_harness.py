"""Chromium for the tests of the operator's page, driven by selenium, and what they ask of the page."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from ros_harness import Listener
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    JavascriptException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from rig_robot.common.message_fields import values

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Debian's packages with the programs that these tests run."""
SHOWN_S = 15.0
"""Longest time for something to be shown on a busy machine [s]."""
WINDOW = (1280, 800)


def programs() -> dict[str, str]:
    """Return where Chromium and its driver are; fail with the command that installs them where they are not."""
    found = {name: shutil.which(name) for name in PACKAGES}
    if missing := [PACKAGES[name] for name, place in found.items() if place is None]:
        pytest.fail(f"run: sudo apt-get install {' '.join(missing)}")
    return {name: place for name, place in found.items() if place is not None}


def _without_priority(chromium: str) -> Path:
    """Return a program that starts Chromium without the right to a higher priority than other programs have.

    Root's Chromium takes one for itself (nice -8), which no ordinary user's can.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return Path(chromium)
    starter = Path(tempfile.gettempdir()) / f"rig_chromium_{os.getpid()}.sh"
    starter.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice {chromium} "$@"\n')
    starter.chmod(0o755)
    return starter


class Browser:
    """A Chromium without a screen.

    Args:
        size: Width and height of what is shown [pixels].
        draws_3d: Whether to draw the 3D view, by the processor; a third of a core that most tests do not need.
    """

    def __init__(self, size: tuple[int, int] = WINDOW, draws_3d: bool = False) -> None:
        place = programs()
        options = webdriver.ChromeOptions()
        options.binary_location = str(_without_priority(place["chromium"]))
        software = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        three = software if draws_3d else ["--disable-gpu", "--disable-3d-apis"]
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", *three):
            options.add_argument(argument)
        options.add_argument(f"--window-size={size[0]},{size[1]}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(place["chromedriver"]))
        kinds = "for (const kind of ['keydown', 'pointerdown'])"
        pressed = f"{kinds} addEventListener(kind, () => (window.pressedAt = Date.now()), true)"
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": pressed})
        self.resize(size)

    def pressed_at(self) -> float:
        """Return when a key or button was pressed last [s, this machine's clock]."""
        return float(self.run("return window.pressedAt")) / 1000

    def resize(self, size: tuple[int, int]) -> None:
        """Make what is shown exactly so large."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def close(self) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        """Open the page, and wait until it knows what it is."""
        self.driver.get(url)
        self.wait_until_built()

    def wait_until_built(self) -> None:
        self.until(lambda: self.text(".rig-state"), "the page shows the arm's state")
        self.until(
            lambda: "You have control" in self.text(".rig-control") or self.text(".rig-take"), "the page knows its part"
        )

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """Return the text of the first element that a selector finds; empty where there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def click(self, selector: str) -> None:
        """Click an element once it can be clicked."""

        def clicked() -> bool:
            try:
                for element in self.driver.find_elements(By.CSS_SELECTOR, selector):
                    if element.is_displayed() and element.is_enabled():
                        element.click()
                        return True
            except (StaleElementReferenceException, ElementClickInterceptedException):  # it moves, or goes
                pass
            return False

        self.until(clicked, f"{selector} can be clicked")

    def press(self, selector: str) -> None:
        """Click an element by a script once it can be clicked: on the way to what a test is about.

        A click by the mouse is lost where the page is laid out anew between its down and its up, as one that is just
        loaded is on a busy computer.
        """
        script = """const found = [...document.querySelectorAll(arguments[0])].find(
            (element) => element.checkVisibility() && !element.disabled);
            found?.click();
            return Boolean(found);"""
        self.until(lambda: self.run(script, selector), f"{selector} can be pressed")

    def until(self, condition: Callable[[], Any], what: str, timeout: float = SHOWN_S) -> Any:
        """Wait until a condition holds, and return what it gave; fail with what the page says then."""
        end = time.monotonic() + timeout
        while True:
            try:
                if found := condition():
                    return found
            except JavascriptException:
                pass
            assert time.monotonic() < end, f"after {timeout:g} s still not: {what}; {self.text('body')[:800]!r}"
            time.sleep(0.03)

    def until_state(self, word: str) -> None:
        self.until(lambda: self.text(".rig-state") == word, f"the arm is {word}")

    def said(self) -> str:
        """Return the lines that the page shows for some seconds."""
        return str(
            self.run("return [...document.querySelectorAll('.q-notification')].map(e => e.innerText).join('\\n')")
        )

    def until_said(self, part: str) -> None:
        self.until(lambda: part in self.said(), f"the page says {part!r}")

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file onto the page, as a person does."""
        self.run(
            """const bytes = Uint8Array.from(arguments[1]);
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], arguments[0], {type: "image/png"}));
            document.querySelector(".rig-camera").dispatchEvent(
                new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));""",
            name,
            list(content),
        )

    def screenshot(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(file))

    def errors(self) -> list[str]:
        """Return what the browser complained of."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


def page_port(listener: Listener, node: str = "console", timeout: float = 40.0) -> int:
    """Wait until a console node has said on /diagnostics on which port its page is."""
    heard = listener.hear(DiagnosticArray, "/diagnostics", 10)

    def port() -> str | None:
        found = (values(status).get("port") for message in heard for status in message.status if status.name == node)
        return next((place for place in found if place), None)

    return int(listener.until(port, f"{node} says where its page is", timeout))


def ask(
    port: int, method: str, path: str, body: bytes | None = None, host: str | None = None, **headers: str
) -> tuple[int, str]:
    """Send a request to the page as no browser would; return status and text. An underscore in a header is a hyphen."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{port}")
        if body is not None and "Content_Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def error_of(answer: tuple[int, str]) -> tuple[int, str]:
    """Return the status of an answer and the error in it."""
    return answer[0], str(json.loads(answer[1]).get("error", ""))
