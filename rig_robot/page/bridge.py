"""Runs the page's application in an event loop of its own thread, and carries requests to it from the front server's.

Whatever keeps the page's loop busy, the front server goes on: it answers stop requests and passes pulses on by itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class LoopThread:
    """An event loop in a thread of its own, which ends with the process."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def start(self, work: Any) -> Future[Any]:
        """Start a coroutine there, and return its future, for other threads."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)


class Bridge:
    """An ASGI application that another one runs behind, in the loop of another thread.

    Args:
        application: What runs there.
        thread: Where.
    """

    def __init__(self, application: Application, thread: LoopThread) -> None:
        self._application, self._thread = application, thread

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let the application answer one request, or serve one websocket."""
        here = asyncio.get_running_loop()

        def carried(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def across(*arguments: Any) -> Any:
                async def do() -> Any:
                    return await call(*arguments)

                return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(do(), here))

            return across

        async def answer() -> None:
            await self._application(scope, carried(receive), carried(send))

        await asyncio.wrap_future(self._thread.start(answer()))
