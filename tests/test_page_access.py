"""The pages that may ask the operator's page for anything, and the one that has control of the arm."""

import asyncio
import time
from typing import Any

import pytest

from rig_robot.page import control as control_module
from rig_robot.page.access import Access
from rig_robot.page.control import Control
from rig_robot.page.front import LARGEST_UPLOAD, TooLarge, _read
from rig_robot.page.server import Settings

HOME = {"host": "127.0.0.1:8600", "origin": "http://127.0.0.1:8600"}
FOREIGN = {"sec_fetch_site": "cross-site"}


def scope(
    method: str = "POST", kind: str = "http", scheme: str = "http", query: str = "", **headers: str
) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items() if value]
    return {
        "type": kind,
        "scheme": scheme,
        "method": method,
        "path": "/",
        "query_string": query.encode(),
        "headers": named,
    }


@pytest.mark.parametrize(
    "asked",
    [
        scope(**HOME),
        scope(host="localhost:8600", origin="http://localhost:8600"),
        scope(host="localhost:9000", origin="http://localhost:9000"),  # a port forwarded by ssh
        scope(host="[::1]:8600", origin="http://[::1]:8600"),
        scope(scheme="https", host="127.0.0.1:8600", origin="https://127.0.0.1:8600"),
        scope(kind="websocket", scheme="ws", **HOME),
        scope("GET", host="127.0.0.1:8600"),
        scope("GET", host="127.0.0.1:8600", sec_fetch_site="cross-site", sec_fetch_mode="navigate"),
        scope("GET", host="127.0.0.1:8600", sec_fetch_site="same-origin", sec_fetch_mode="no-cors"),
    ],
)
def test_the_page_itself_may(asked: dict[str, Any]) -> None:
    assert Access("127.0.0.1", 8600).refusal(asked) is None


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [
        (scope(host="evil.example:8600", origin="http://evil.example:8600"), 421, "evil.example"),  # DNS rebinding
        (scope(host="192.168.1.7:8600", origin="http://192.168.1.7:8600"), 421, "192.168.1.7"),
        (scope(host="127.0.0.1.evil.example", origin="http://127.0.0.1.evil.example"), 421, "evil.example"),
        (scope(origin="http://127.0.0.1:8600"), 421, "Host is ''"),
        (scope(host="127.0.0.1:8600"), 403, "must say where it comes from"),
        (scope(host="127.0.0.1:8600", origin="http://evil.example"), 403, "evil.example"),
        (scope(host="127.0.0.1:8600", origin="http://127.0.0.1:8601"), 403, "8601"),
        (scope(host="127.0.0.1:8600", origin="https://127.0.0.1:8600"), 403, "https"),
        (scope(host="127.0.0.1:8600", origin="null"), 403, "null"),
        (scope("GET", host="127.0.0.1:8600", origin="http://evil.example"), 403, "evil.example"),
        (scope("GET", host="127.0.0.1:8600", **FOREIGN, sec_fetch_mode="no-cors"), 403, "another site"),
        (scope(**HOME, **FOREIGN, sec_fetch_mode="navigate"), 403, "another site"),
        (scope(kind="websocket", scheme="ws", host="127.0.0.1:8600"), 403, "must say where it comes from"),
        (scope(kind="websocket", scheme="ws", host="127.0.0.1:8600", origin="http://evil.example"), 403, "evil"),
    ],
)  # fmt: skip
def test_a_foreign_page_may_not(asked: dict[str, Any], status: int, named: str) -> None:
    refusal = Access("127.0.0.1", 8600).refusal(asked)
    assert refusal is not None and refusal.status == status and named in refusal.text


def test_two_hosts_in_one_request_are_refused() -> None:
    asked = scope(**HOME)
    asked["headers"].append((b"host", b"evil.example"))
    assert Access("127.0.0.1", 8600).refusal(asked) is not None


def test_others_need_the_token_and_may_call_this_machine_by_its_names_alone() -> None:
    access = Access("0.0.0.0", 8600, "secret", ("robot.lab",))
    there = {"host": "robot.lab:8600", "origin": "http://robot.lab:8600"}
    for cookie in (
        "",
        "rig_page_8600=secre",
        "rig_page_8600=secrets",
        "rig_page_8601=secret",
        "token=secret",
        "rig_page_8600",
    ):
        refusal = access.refusal(scope(cookie=cookie, **there))
        assert refusal is not None and refusal.status == 403 and "token" in refusal.text
    assert access.refusal(scope(cookie="other=1; rig_page_8600=secret", **there)) is None
    assert access.refusal(scope("GET", query="token=secret", host="192.168.1.7:8600")) is None
    assert access.refusal(scope("GET", query="token=secret&token=x", host="192.168.1.7:8600")) is not None
    assert access.refusal(scope("GET", query="token=secret", host="elsewhere.lab:8600")) is not None
    assert not access.offers_token(scope("GET", query="token="))
    assert not Access("127.0.0.1", 8600).offers_token(scope("GET", query="token="))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(address="localhost"), "address is 'localhost'"),
        (Settings(certificate="cert.pem"), "give both"),
        (Settings(certificate="/no/cert.pem", key="/no/key.pem"), "'/no/cert.pem': there is no such file"),
        (Settings(certificate=__file__, key=__file__), "certificate and key: "),
    ],
)
def test_settings_that_cannot_be_are_named(settings: Settings, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        settings.check()


def test_a_body_is_refused_before_it_is_read_and_where_it_says_less_than_it_is() -> None:
    received: list[bytes] = []

    async def receive() -> dict[str, Any]:
        received.append(b"")
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    said = scope(content_length=str(LARGEST_UPLOAD + 1))
    with pytest.raises(TooLarge, match=str(LARGEST_UPLOAD)):
        asyncio.run(_read(said, receive, LARGEST_UPLOAD))
    assert not received
    with pytest.raises(TooLarge):  # chunked: nothing is said of the length
        asyncio.run(_read(scope(), receive, LARGEST_UPLOAD))
    assert len(received) == LARGEST_UPLOAD // 2**20 + 1


class Robot:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.beats, self.stops, self.moves = 0, list[str](), list[tuple[float, float, float]]()

    def beat(self) -> None:
        self.beats += 1

    def control(self) -> Control:
        return Control(self.beat, self.stops.append, self.moves.append)


def test_only_the_visible_page_in_control_is_the_operator_and_any_page_stops() -> None:
    robot = Robot()
    control = robot.control()
    assert control.join("first") and control.join("second")
    assert control.has_control("first") and not control.has_control("second")
    control.hear("second", True)
    control.hear("first", False)
    control.hear("stranger", True)
    assert robot.beats == 0
    control.hear("first", True)
    assert robot.beats == 1
    control.stop("second")
    control.stop("")
    assert robot.stops == ["second", "a page"]
    control.take("second")
    control.hear("first", True)
    assert robot.beats == 1 and control.has_control("second")
    assert not control.has_control("")


def test_a_copied_page_does_not_share_the_control_and_a_page_loaded_again_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control = Robot().control()
    assert control.join("first") and not control.join("first")
    control.leave("first")
    assert control.has_control("first"), "it may be loaded again"
    assert control.join("second") and not control.has_control("second")
    assert control.join("first") and control.has_control("first")
    control.leave("first")
    now = time.monotonic()
    monkeypatch.setattr(control_module.time, "monotonic", lambda: now + control_module.KEPT + 0.1)
    assert control.free and not control.has_control("first")
    assert not control.has_control("second"), "a page that waits does not get the control by itself"
    assert control.join("third") and control.has_control("third")


def test_jogging_is_for_the_page_in_control_while_it_is_switched_on() -> None:
    robot = Robot()
    control = robot.control()
    control.join("first")
    control.join("second")
    assert not control.jog("first", (1.0, 0.0, 0.0))
    control.allow_jogging("second", True)
    assert not control.jogs
    control.allow_jogging("first", True)
    assert control.jog("first", (1.0, 0.0, 0.0)) and not control.jog("second", (0.0, 1.0, 0.0))
    control.take("second")
    assert not control.jog("first", (1.0, 0.0, 0.0)) and not control.jog("second", (1.0, 0.0, 0.0))
    assert robot.moves == [(1.0, 0.0, 0.0)]
