"""The operator's page in a real browser, before the real simulation: it shows, steers and above all stops the arm.

One system, whose arm needs an operator's heartbeat, and one Chromium serve all tests. Its console is the real one with
an address more, that keeps the page's event loop busy (`blocking_console.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from page_harness import Browser, ask, error_of, page_port
from ros_harness import Listener, node_process, user_environment
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from test_goal_check import goals
from test_image_decoding import png, png_header

from rig_robot.bringup.options import SHIPPED_CHECKPOINT
from rig_robot.common.message_fields import values
from rig_robot.common.package_files import share
from rig_robot.messages.diagnostics import OK, diagnostic
from rig_robot.ros.qos import LATCHED, STATE

pytestmark = pytest.mark.alone

HEARTBEAT = 1.0
"""Age at which the arm takes its operator for gone [s]; long, since these tests run beside others."""
STOPS_WITHIN = 0.3
"""From the key to the last motion [s]."""
ATTEMPTS = 5
"""The stop is tried so often until one is so soon."""
LONGEST_STOP = 1.0
"""The same on a computer that is busy with other tests [s]."""
STILL = 2e-4
"""Distance that counts as no motion [m]."""
FAST = 0.05
"""Speed of an arm that is on its way [m/s]."""


class Bench:
    """The system, what is heard of it, and a browser that shows its page."""

    def __init__(self, listener: Listener, port: int, browser: Browser, system: psutil.Process) -> None:
        self.listener, self.port, self.browser, self.system = listener, port, browser, system
        self.url = f"http://127.0.0.1:{port}/"
        self.poses = listener.hear(PoseStamped, "sim/tool_pose", STATE)
        self.arm = listener.hear(DiagnosticStatus, "rig/arm/status", LATCHED)
        self.progress = listener.hear(DiagnosticStatus, "rig/goal/progress", LATCHED)

    def ready(self) -> None:
        """Show the page in one window, in control, before an arm that is disarmed and not stopped."""
        browser = self.browser
        browser.driver.switch_to.window(browser.driver.window_handles[0])
        browser.open(self.url)
        browser.until(self.in_control, "the page has control")
        state = browser.until(lambda: browser.text(".rig-state").replace("NO ARM", ""), "the arm is heard")
        if state == "STOPPED":
            browser.press(".rig-do-reset")
        elif state != "DISARMED":
            browser.press(".rig-do-disarm")
        browser.until_state("DISARMED")
        browser.press(".rig-do-idle")
        browser.until(lambda: self.mode() == "idle", "the policy is idle")

    def in_control(self) -> bool:
        """Whether the page has control; take it where it has not."""
        if "You have control" in self.browser.text(".rig-control"):
            return True
        if self.browser.text(".rig-take"):
            self.browser.run("document.querySelector('.rig-take').click()")
        return False

    def mode(self) -> str:
        """Return the mode whose button is lit."""
        lit = "return document.querySelector('.rig-on')?.className.match(/rig-do-(\\w+)/)[1] ?? ''"
        return str(self.browser.run(lit))

    def move(self) -> None:
        """Let the arm explore, and wait until it is fast."""
        browser = self.browser
        browser.press(".rig-do-explore")
        browser.until(lambda: self.mode() == "explore", "the policy explores")
        browser.press(".rig-do-arm")
        self.listener.until(self.fast, "the arm moves", 20.0)

    def fast(self) -> bool:
        """Whether the tool is on its way now."""
        self.poses.clear()
        self.listener.spin(0.1)
        places, times = track(self.poses)
        return len(times) > 3 and float(np.linalg.norm(places[-1] - places[0])) > FAST * (times[-1] - times[0])

    def motion_ends(self, watch: float = 1.0) -> float:
        """Watch the tool for some seconds, and return when it moved last: ROS time [s], which is the system's here."""
        self.listener.spin(watch)
        places, times = track(self.poses)
        moved = np.linalg.norm(places - places[-1], axis=1) > STILL
        return float(times[np.flatnonzero(moved)[-1]]) if moved.any() else float(times[0])


def track(poses: list[PoseStamped]) -> tuple[np.ndarray, np.ndarray]:
    """Return places [N, 3] m and times [N] s of poses."""
    found = list(poses)
    places = np.array([[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in found])
    return places, np.array([p.header.stamp.sec + 1e-9 * p.header.stamp.nanosec for p in found])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("page")
    config = yaml.safe_load(share("config", "sim.yaml").read_text())
    config["arm"]["heartbeat"] = HEARTBEAT
    (folder / "sim.yaml").write_text(yaml.safe_dump(config))
    arguments = [
        "--goals",
        "-1",
        "--config",
        str(folder / "sim.yaml"),
        "--record",
        str(folder / "episodes"),
        "--no-page",
    ]
    log = (folder / "log").open("w+")
    system = subprocess.Popen(
        [sys.executable, "-m", "rig_robot.cli", "sim", *arguments],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=user_environment(),
    )
    listener = Listener("page_test")
    with pytest.MonkeyPatch.context() as patch:
        here = str(Path(__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))))
        with node_process("blocking_console", {"checkpoint": SHIPPED_CHECKPOINT, "port": 0}) as console:
            browser = Browser()
            try:
                yield Bench(listener, page_port(listener), browser, psutil.Process(system.pid))
            finally:
                browser.close()
                listener.close()
                system.terminate()
                system.wait(20)
                print(console.output()[-8000:])
                print((folder / "log").read_text()[-8000:])
                log.close()


@pytest.fixture
def page(bench: Bench) -> Bench:
    bench.ready()
    return bench


def test_the_page_shows_the_arm_the_camera_and_what_the_vae_makes_of_it(page: Bench) -> None:
    browser = page.browser

    def count(name: str) -> int:
        return int(browser.run("return window.rig?.drawn[arguments[0]]?.count ?? 0", name))

    for name in ("camera", "view", "view_redrawn"):
        browser.until(lambda name=name: count(name) >= 5, f"five pictures of {name}")
    assert browser.run("return document.querySelector('.rig-picture-camera').naturalWidth") == 640
    rates = (count("camera"), time.monotonic())
    browser.until(lambda: count("camera") >= rates[0] + 15, "fifteen pictures more")
    assert 14 / (time.monotonic() - rates[1]) <= 16, "more than 15 pictures a second"
    browser.until(lambda: browser.text(".rig-tool").startswith("tool at"), "where the tool is")
    for node in ("camera", "encoder", "goal", "policy", "arm"):
        browser.until(lambda node=node: node in browser.text(".rig-fill:has(.rig-node)"), f"the health of {node}")
    scrolls = "return document.documentElement.scrollHeight - window.innerHeight"
    assert browser.run(scrolls) <= 0, "1280x800 does not hold the page"


def test_a_report_of_a_stranger_that_says_nothing_does_not_end_the_page(page: Bench) -> None:
    publisher = page.listener.node.create_publisher(DiagnosticStatus, "rig/goal/progress", LATCHED)
    page.listener.until_heard("rig/goal/progress", publishers=2)
    page.listener.until(publisher.get_subscription_count, "the page listens")
    for distance in ("far", "1e999", ""):
        publisher.publish(diagnostic("goal progress", OK, "of a stranger", {"state": "none", "distance": distance}))
    shown = int(page.browser.run("return window.rig.drawn.camera.count"))
    page.browser.until(
        lambda: int(page.browser.run("return window.rig.drawn.camera.count")) > shown + 15, "the page goes on"
    )
    page.listener.node.destroy_publisher(publisher)


def test_a_dropped_picture_is_shown_with_what_the_vae_knows_of_it_and_then_reached(page: Bench) -> None:
    browser, listener = page.browser, page.listener
    listener.until(lambda: page.poses, "where the tool is")
    goal = max(goals("plain", 6), key=lambda picture: float(np.abs(picture.astype(int) - goals("plain", 1)[0]).sum()))
    browser.press(".rig-do-arm")
    browser.until_state("ARMED, WAITING")
    browser.drop("goal.png", png(goal))
    browser.until(lambda: browser.driver.find_elements(By.CSS_SELECTOR, ".rig-preview img"), "the picture is shown")
    assert not browser.text(".rig-doubt"), "a picture of the task is nothing to be careful of"
    assert browser.text(".rig-state") == "ARMED, WAITING", "nothing moves before the picture is sent"
    page.progress.clear()
    browser.click(".rig-send-go")
    listener.until(
        lambda: any(values(each)["state"] == "reached" for each in page.progress), "the goal is reached", 30.0
    )
    assert float(values(page.progress[-1])["tool [mm]"]) < 10.0
    browser.until(lambda: "reached" in browser.text(".rig-big"), "the page says so")
    assert browser.driver.find_elements(By.CSS_SELECTOR, ".rig-recent img"), "the goal is remembered"
    page.listener.until(lambda: page.arm, "the arm's status")


def test_a_picture_that_the_vae_does_not_know_is_doubted_before_it_is_sent(page: Bench) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    page.browser.drop("noise.png", png(noise))
    page.browser.until(lambda: "does not know" in page.browser.text(".rig-doubt"), "what speaks against it")


@pytest.mark.parametrize("how", ["button", "space", "space while the page is busy"])
def test_the_stop_stops_the_arm_within_three_tenths_of_a_second(page: Bench, how: str) -> None:
    times: list[float] = []
    while not times or min(times) >= STOPS_WITHIN:  # beside other tests a stop may have to wait for the processor
        assert len(times) < ATTEMPTS, f"the arm moved for {times} s after the key"
        page.move()
        times.append(_stop(page, how))
        assert times[-1] < LONGEST_STOP
        page.browser.until_state("STOPPED")
        # Reset is an act of its own, and leaves the arm disarmed.
        page.browser.press(".rig-do-reset")
        page.browser.until_state("DISARMED")
    print(f"{how}: {1000 * min(times):.0f} ms from the key to the last motion")


def _stop(page: Bench, how: str) -> float:
    """Stop the moving arm, and return the time from the key, as the browser has it, to the last motion [s]."""
    browser, stop = page.browser, ActionChains(page.browser.driver)
    if how == "button":
        stop.move_to_element(browser.driver.find_element(By.CSS_SELECTOR, ".rig-stop")).perform()
        stop = ActionChains(browser.driver).click()
    else:
        browser.run("document.querySelector('.rig-do-arm').focus()")  # the space bar must not press what has the focus
        stop.send_keys(" ")
    blocked = threading.Thread(target=ask, args=(page.port, "GET", "/block"))
    if "busy" in how:
        blocked.start()
    page.listener.until(page.fast, "the arm is on its way")
    stop.perform()
    end = page.motion_ends()
    if "busy" in how:
        assert blocked.is_alive(), "the page was not busy any more"
        blocked.join()
    return end - browser.pressed_at()


def test_a_page_that_is_loaded_again_loses_nothing(page: Bench) -> None:
    browser = page.browser
    browser.drop("goal.png", png(goals("plain", 1)[0]))
    browser.click(".rig-send-set")
    browser.until_said("goal: new goal")
    remembered = browser.until(lambda: len(browser.driver.find_elements(By.CSS_SELECTOR, ".rig-recent img")), "a goal")
    name = browser.run("return rig.page")
    browser.driver.refresh()
    browser.wait_until_built()
    browser.until(lambda: "You have control" in browser.text(".rig-control"), "the page has control again")
    assert browser.run("return rig.page") == name
    browser.until(
        lambda: len(browser.driver.find_elements(By.CSS_SELECTOR, ".rig-recent img")) >= remembered, "the same goals"
    )
    browser.until(lambda: browser.run("return window.rig.drawn.goal?.count ?? 0"), "the goal's picture")


def test_two_pages_show_the_same_and_either_stops_but_one_has_control(page: Bench) -> None:
    browser = page.browser
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("window")
    second = browser.driver.current_window_handle
    try:
        browser.open(page.url)
        browser.until(lambda: "Another page has control" in browser.text(".rig-control"), "the second has no control")
        browser.press(".rig-do-arm")
        browser.until_said("another page has control")
        browser.until_state("DISARMED")
        browser.run("rig.stop()")
        browser.until_state("STOPPED")
        browser.driver.switch_to.window(first)
        browser.until_state("STOPPED")
        browser.press(".rig-do-reset")
        browser.until_state("DISARMED")
        browser.driver.switch_to.window(second)
        browser.until_state("DISARMED")
        browser.click(".rig-take")
        browser.until(lambda: "You have control" in browser.text(".rig-control"), "the second has control")
        browser.driver.switch_to.window(first)
        browser.until(lambda: "Another page has control" in browser.text(".rig-control"), "the first has lost it")
    finally:
        browser.driver.switch_to.window(second)
        browser.driver.close()
        browser.driver.switch_to.window(first)


def test_an_arm_whose_operator_closes_the_page_stops(page: Bench) -> None:
    browser = page.browser
    page.move()
    page.listener.until(page.fast, "the arm is on its way")
    browser.driver.get("about:blank")
    gone = time.time()  # a busy computer takes its time to close a page, which lives until then
    took = page.motion_ends(HEARTBEAT + 2.0) - gone
    assert took < HEARTBEAT + LONGEST_STOP, f"the arm moved for {took:.3f} s after its operator had gone"
    page.listener.until(lambda: "no operator heartbeat" in values(page.arm[-1])["reason"], "the arm says why")


def test_the_arm_can_be_disarmed_while_the_page_does_not_hear_it(page: Bench) -> None:
    page.browser.press(".rig-do-arm")
    page.browser.until_state("ARMED, WAITING")
    (arm,) = [node for node in page.system.children() if "rig_robot.nodes.arm" in node.cmdline()]
    arm.suspend()
    try:
        page.browser.until_state("NO ARM")
        page.browser.click(".rig-do-disarm")
    finally:
        arm.resume()
    page.browser.until_state("DISARMED")


def test_the_tool_is_jogged_while_a_key_is_held_and_no_longer(page: Bench) -> None:
    browser, listener = page.browser, page.listener
    browser.run("Object.defineProperty(navigator, 'getGamepads', {value: undefined})")  # as with http from elsewhere
    browser.press(".q-toggle")
    browser.until(lambda: browser.run("return rig.jogs"), "jogging is on")
    browser.press(".rig-do-arm")
    browser.until_state("ARMED, WAITING")
    for key in ("a", "d"):
        ActionChains(browser.driver).key_down(key).perform()
        listener.until(lambda: _travels(page), "the tool moves")
        began = time.time()
        ActionChains(browser.driver).key_up(key).perform()
        assert page.motion_ends() - began < LONGEST_STOP
    ActionChains(browser.driver).key_down("a").perform()
    listener.until(lambda: _travels(page), "the tool moves")
    browser.run("rig.jogs = false")
    page.motion_ends()
    browser.run("rig.jogs = true")
    listener.spin(0.5)  # it would begin by now
    assert not _travels(page), (
        "a key that was held when jogging was switched off moves nothing until it is pressed anew"
    )
    ActionChains(browser.driver).key_up("a").perform()


def test_a_gamepad_jogs_while_its_dead_man_is_held_and_no_longer(page: Bench) -> None:
    """Chromium has no gamepad of its own to drive, so `navigator.getGamepads` answers with one that the test moves."""
    browser = page.browser
    browser.run(
        """window.pad = {connected: true, mapping: "standard", axes: [0, 0, 0, 0],
            buttons: [...Array(17)].map(() => ({pressed: false}))};
        navigator.getGamepads = () => [null, window.pad];"""
    )
    hold = "pad.buttons[5].pressed = arguments[0]"
    browser.run("pad.axes[0] = arguments[0]", 0.9)
    browser.press(".q-toggle")
    browser.until(lambda: browser.run("return rig.jogs"), "jogging is on")
    browser.run("rig.jogs = false")
    browser.until(lambda: "hold a shoulder button" in browser.text(".rig-pad"), "the page has found the gamepad")
    page.listener.spin(0.3)  # the page reads the gamepad ten times a second, and has seen it with nothing held
    browser.run(f"{hold}; rig.jogs = true", True)  # at once, so that the page has not seen it held before
    browser.press(".rig-do-arm")
    browser.until_state("ARMED, WAITING")
    page.listener.spin(0.5)  # it would begin by now
    assert not _travels(page), "a button that was held before jogging was switched on moves nothing"
    ends = {
        "the button is released": lambda: browser.run(hold, False),
        "the gamepad is gone": lambda: browser.run("pad.connected = false"),
        "the window has lost the focus": lambda: browser.run("dispatchEvent(new Event('blur'))"),
        "the page is hidden": lambda: browser.run("document.dispatchEvent(new Event('visibilitychange'))"),
        "jogging is switched off": lambda: browser.run("rig.jogs = false"),
        "B was pressed": lambda: browser.run("pad.buttons[1].pressed = true"),
    }
    for number, (name, end) in enumerate(ends.items()):
        browser.run("pad.connected = rig.jogs = true")
        browser.run(hold, False)
        browser.run("pad.axes[0] = arguments[0]", 0.9 * (-1) ** number)
        page.listener.spin(0.3)
        assert not _travels(page), "the stick alone moves nothing"
        browser.run(hold, True)
        page.listener.until(lambda: _travels(page), "the tool moves")
        began = time.time()
        end()
        assert page.motion_ends() - began < LONGEST_STOP, name
        assert not _travels(page), f"{name}, and the tool moves on"
    browser.until_state("STOPPED")


def _travels(page: Bench) -> bool:
    page.poses.clear()
    page.listener.spin(0.2)
    places, _ = track(page.poses)
    return len(places) > 3 and float(np.linalg.norm(places[-1] - places[0])) > 0.004


def test_a_foreign_page_can_neither_read_nor_act(bench: Bench) -> None:
    port, own = bench.port, f"http://127.0.0.1:{bench.port}"
    assert ask(port, "POST", "/stop", b"", Origin="http://evil.example")[0] == 403
    assert ask(port, "POST", "/stop", b"")[0] == 403, "a request that acts says where it comes from"
    assert ask(port, "POST", "/stop", b"", Origin="null")[0] == 403
    assert ask(port, "POST", "/picture", png_header(4, 4), Origin=f"http://127.0.0.1:{port + 1}")[0] == 403
    assert ask(port, "GET", "/", host="evil.example")[0] == 421, "a name that was made to lead here"
    assert ask(port, "GET", "/assets/page.js", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    for path in ("/control?page=0123456789abcdef", "/pictures", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"):
        for origin, status in (("http://evil.example", 403), (own, 101)):
            upgrade = {
                "Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
                "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }  # fmt: skip
            assert _status(port, path, upgrade) == status, f"{path} from {origin}"
    status, text = ask(port, "GET", "/")
    assert status == 200 and "rig-stop" in text
    assert ask(port, "GET", "/episodes/..%2F..%2Fetc.tar")[0] == 404


def _status(port: int, path: str, headers: dict[str, str]) -> int:
    """Return the status of the answer to a websocket's first request."""
    import socket

    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(4096).split()[1])


def test_uploads_pass_the_limits_of_the_goal_node(page: Bench, tmp_path: Path) -> None:
    port, own = page.port, f"http://127.0.0.1:{page.port}"
    status, error = error_of(ask(port, "POST", "/picture", png_header(10_000, 10_000), Origin=own))
    assert status == 400 and "100.0 megapixels; at most 50" in error
    status, error = error_of(ask(port, "POST", "/picture", b"MZ\x90\x00" + bytes(5000), Origin=own))
    assert status == 400 and "not a PNG or JPEG file" in error
    status, error = error_of(ask(port, "POST", "/picture", b"", Origin=own, Content_Length=str(2**30)))
    assert status == 413 and "at most" in error, "it is refused before it is read"
    program = tmp_path / "holiday.png"
    program.write_bytes(Path(sys.executable).read_bytes()[:200_000])
    page.browser.driver.find_element(By.CSS_SELECTOR, ".rig-file").send_keys(str(program))
    page.browser.until_said("not a PNG or JPEG file")


def test_a_page_that_others_can_reach_asks_for_its_token(bench: Bench) -> None:
    parameters = {"port": 0, "token": "letmein-0123456789", "address": "0.0.0.0"}
    with node_process("rig_robot.nodes.console", parameters, {"__node": "console_for_others"}) as process:
        port = page_port(bench.listener, "console_for_others")
        assert ask(port, "GET", "/")[0] == 403
        assert ask(port, "GET", "/?token=letmein-012345678")[0] == 403
        assert ask(port, "GET", "/", Cookie=f"rig_page_{port}=wrong")[0] == 403
        assert ask(port, "POST", "/stop", b"", Origin=f"http://127.0.0.1:{port}")[0] == 403
        assert ask(port, "GET", "/?token=letmein-0123456789")[0] == 303
        assert ask(port, "GET", "/", Cookie=f"rig_page_{port}=letmein-0123456789")[0] == 200
        assert process.output().count("letmein-0123456789") == 1, "the token is printed once"
        assert "can read the token" in process.output(), "without a certificate it is not safe, and said so"


def test_without_nicegui_the_console_says_so_once_and_goes_on(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "nicegui.py").write_text("raise ModuleNotFoundError('No module named nicegui', name='nicegui')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))))
        with node_process("rig_robot.nodes.console", {"port": 0}, {"__node": "console_without"}) as process:
            said = "there is no page: nicegui is not installed"
            bench.listener.until(lambda: said in process.output(), "the console says why there is no page")
            bench.listener.spin(2.0)
            assert process.running() and process.output().count("\n") == 1, process.output()


def test_the_browser_had_nothing_to_complain_of(bench: Bench) -> None:
    expected = ("404", "WebGL", "413", "400 (Bad Request)")
    assert not [line for line in bench.browser.errors() if not any(part in line for part in expected)]
