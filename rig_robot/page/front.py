"""Answers every request of the page first: refuses foreign ones, and serves whatever must work while the page is busy.

Stop requests, the operator's pulse, jogging, pictures, uploads and downloads are answered here, in the front server's
own event loop. All else goes on to the page's application, in another loop (`bridge.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from rig_robot.page.access import Access, Refusal
from rig_robot.page.bridge import Application, Message, Receive, Send
from rig_robot.page.control import Control, Move
from rig_robot.page.episodes import Episodes
from rig_robot.page.gallery import NAMES, Gallery

LARGEST_UPLOAD = 32 * 2**20
"""Largest picture that is read [bytes]."""
LARGEST_REQUEST = 2**20
"""Largest body of any other request [bytes]."""
IN_USE = 4001
"""Code of a websocket that is closed because a page of the same name is open."""
PAGE = re.compile(r"[A-Za-z0-9-]{8,64}")
ASSETS = Path(__file__).parent / "assets"
KINDS = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}
HEADERS = [
    (b"x-frame-options", b"DENY"),  # no other page may lay itself over the buttons
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]

Upload = Callable[[bytes], Mapping[str, Any]]
"""Takes the bytes of a picture and returns what to answer; a `ValueError` says why it is refused."""


class TooLarge(ValueError):
    """A request has more bytes than are read; the text says how many may be sent."""


class Front:
    """The ASGI application that browsers talk to.

    Args:
        access: Who may.
        control: Takes pulses, stops and jogging.
        gallery: Pictures to send.
        upload: Takes a picture that may become the goal.
        episodes: Recorded episodes, to download.
        page: The application behind.
    """

    def __init__(
        self,
        access: Access,
        control: Control,
        gallery: Gallery,
        upload: Upload,
        episodes: Episodes,
        page: Application,
    ) -> None:
        self._access, self._control, self._gallery = access, control, gallery
        self._upload, self._episodes, self._page = upload, episodes, page
        self._one_upload = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one websocket."""
        if scope["type"] not in ("http", "websocket"):
            return
        if (refusal := self._access.refusal(scope)) is not None:
            await _refuse(scope, receive, send, refusal)
        elif scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
        else:
            await self._serve_request(scope, receive, send)

    async def _serve_request(self, scope: Any, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        try:
            if self._access.offers_token(scope):
                await self._keep_token(scope, send)
            elif (method, path) == ("POST", "/stop"):
                self._control.stop(_page_of(scope))
                await _answer(send, 200, {"stopped": True})
            elif (method, path) == ("POST", "/picture"):
                await self._take_picture(scope, receive, send)
            elif method == "GET" and path.startswith("/assets/"):
                await _send_asset(send, path.removeprefix("/assets/"))
            elif method == "GET" and path.startswith("/episodes/"):
                await self._send_episode(send, path.removeprefix("/episodes/"))
            else:
                body = await _read(scope, receive, LARGEST_REQUEST)
                await self._page(scope, _again(body, receive), _with_headers(send))
        except TooLarge as error:
            await _answer(send, 413, {"error": str(error)})

    async def _keep_token(self, scope: Any, send: Send) -> None:
        """Put the token into a cookie and out of the address, where others could read it."""
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{self._access.cookie}={self._access.token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await _respond(send, 303, b"", headers)

    async def _take_picture(self, scope: Any, receive: Receive, send: Send) -> None:
        data = await _read(scope, receive, LARGEST_UPLOAD)
        try:
            async with self._one_upload:  # a large picture takes a lot of memory while it is decoded
                answer = await asyncio.to_thread(self._upload, data)
        except (ValueError, MemoryError) as error:
            await _answer(send, 400, {"error": str(error) or "there is not enough memory for it"})
            return
        await _answer(send, 200, answer)

    async def _send_episode(self, send: Send, name: str) -> None:
        try:
            chunks = self._episodes.tar(name.removesuffix(".tar"))
        except ValueError as error:
            await _answer(send, 404, {"error": str(error)})
            return
        disposition = f'attachment; filename="{name}"'.encode("latin-1", "replace")
        headers = [(b"content-type", b"application/x-tar"), (b"content-disposition", disposition), *HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _serve_socket(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["path"] not in ("/control", "/pictures"):
            await self._page(scope, receive, send)
            return
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        with contextlib.suppress(OSError, RuntimeError):  # the browser has gone
            if scope["path"] == "/control":
                await self._serve_control(_page_of(scope), receive, send)
            else:
                await self._serve_pictures(receive, send)

    async def _serve_control(self, page: str, receive: Receive, send: Send) -> None:
        """Take the signs of life, stops and moves of one page; each sign of life is echoed."""
        if not page or not self._control.join(page):
            await send({"type": "websocket.close", "code": IN_USE})
            return
        try:
            async for message in _messages(receive):
                said = _parsed(message)
                if "stop" in said:
                    self._control.stop(page)
                    await send({"type": "websocket.send", "text": '{"stopped": true}'})
                if "pulse" in said:
                    self._control.hear(page, said["pulse"] is True)
                    await send({"type": "websocket.send", "text": '{"pulse": true}'})
                if (move := _move(said)) is not None:
                    self._control.jog(page, move)
        finally:
            self._control.leave(page)

    async def _serve_pictures(self, receive: Receive, send: Send) -> None:
        """Send the newest pictures, each kind at the pace of all and not before the last one was drawn."""
        numbers: dict[str, int] = {}
        times: dict[str, float] = {}
        with self._gallery.looking() as viewer:

            async def hear() -> None:
                async for message in _messages(receive):
                    with contextlib.suppress(ValueError, IndexError):
                        viewer.drawing.discard(NAMES[int(message)])
                    viewer.changed.set()

            hearing = asyncio.ensure_future(hear())
            try:
                while not hearing.done():
                    viewer.changed.clear()
                    due = [False] * len(NAMES)
                    for index, name in enumerate(NAMES):
                        shown = self._gallery.newest(name)
                        if shown is None or shown.number == numbers.get(name) or name in viewer.drawing:
                            continue
                        if time.monotonic() - times.get(name, 0.0) < self._gallery.pace.period:
                            due[index] = True
                            continue
                        numbers[name], times[name] = shown.number, time.monotonic()
                        viewer.drawing.add(name)
                        head = f"{index} {shown.stamp:.6f} {len(shown.jpeg)}\n".encode()
                        await send({"type": "websocket.send", "bytes": head + shown.jpeg})
                    wait = asyncio.ensure_future(viewer.changed.wait())
                    timeout = self._gallery.pace.period / 4 if any(due) else 1.0
                    await asyncio.wait({wait, hearing}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                    wait.cancel()
            finally:
                hearing.cancel()


async def _messages(receive: Receive) -> AsyncIterator[str]:
    """Yield the texts that a websocket receives, until it is closed."""
    while (message := await receive())["type"] == "websocket.receive":
        yield message.get("text") or ""


def _parsed(text: str) -> dict[str, Any]:
    """Return a page's message; empty where it is none."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _move(said: Mapping[str, Any]) -> Move | None:
    """Return the velocity that a page asks for, each part from -1 to 1; None where it asks for none."""
    parts = said.get("jog")
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, (int, float)) for part in parts):
        return None
    x, y, z = (max(-1.0, min(1.0, float(part))) if part == part else 0.0 for part in parts)
    return x, y, z


def _page_of(scope: Any) -> str:
    """Return the name by which a page calls itself; empty where it has none."""
    name = parse_qs(scope["query_string"].decode("latin-1")).get("page", [""])[0]
    return name if PAGE.fullmatch(name) else ""


async def _read(scope: Any, receive: Receive, most: int) -> bytes:
    """Read a request's body; stop where it is larger than may be.

    Raises:
        TooLarge: If it is; most of it has not been read then.
    """
    said = dict(scope["headers"]).get(b"content-length", b"0")
    if not said.isdigit() or int(said) > most:
        raise TooLarge(f"the request has {said.decode('latin-1')[:20]} bytes; at most {most} are read")
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message.get("body", b"")
        if len(body) > most:
            raise TooLarge(f"the request has more than {most} bytes, which is as much as is read")
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, and then what comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return send_with_headers


async def _send_asset(send: Send, name: str) -> None:
    file = ASSETS / name
    if file.parent != ASSETS or file.suffix not in KINDS or not file.is_file():
        await _answer(send, 404, {"error": f"there is no file {name[:80]!r}"})
        return
    await _respond(
        send, 200, file.read_bytes(), [(b"content-type", KINDS[file.suffix]), (b"cache-control", b"no-cache")]
    )


async def _refuse(scope: Any, receive: Receive, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.text[:120]})
        return
    await _respond(
        send, refusal.status, f"{refusal.text}\n".encode(), [(b"content-type", b"text/plain; charset=utf-8")]
    )


async def _answer(send: Send, status: int, content: Mapping[str, Any]) -> None:
    await _respond(send, status, json.dumps(content).encode(), [(b"content-type", b"application/json")])


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, *HEADERS]})
    await send({"type": "http.response.body", "body": body})
