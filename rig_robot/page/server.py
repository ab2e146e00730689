"""Starts the page: the front server in one thread, NiceGUI in another. NiceGUI is imported here and nowhere before."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig_robot.page.access import Access, is_loopback
from rig_robot.page.bridge import Bridge, LoopThread
from rig_robot.page.desk import Desk
from rig_robot.page.front import Front, Upload

PORTS = 20
"""Ports that are tried, from the one that is asked for, until one is free."""
STARTS = 30.0
"""Longest time for the page to start [s]."""
LARGEST_MESSAGE = 2**20
"""Largest message of a websocket [bytes]."""


@dataclass(frozen=True)
class Settings:
    """Where the page is served, and to whom.

    Attributes:
        address: IP address to listen on; 127.0.0.1: this machine only.
        port: Port to begin with; the first free one of `PORTS` is taken.
        token: What browsers must know; empty: a random one where other machines can reach the address, else none.
        certificate: File of a TLS certificate, PEM; empty: no TLS.
        key: File of its private key, PEM.
        hosts: Names by which browsers may call this machine, beside IP addresses, `localhost` and its own name.
    """

    address: str = "127.0.0.1"
    port: int = 8600
    token: str = ""
    certificate: str = ""
    key: str = ""
    hosts: tuple[str, ...] = ()

    def check(self) -> None:
        """Validate the settings.

        Raises:
            ValueError: If one cannot be; the text names it, its value and what would be right.
        """
        try:
            is_loopback(self.address)
        except ValueError:
            raise ValueError(
                f"parameter address is {self.address!r}: must be an IP address, such as 127.0.0.1 or 0.0.0.0"
            ) from None
        if bool(self.certificate) != bool(self.key):
            raise ValueError("parameters certificate and key: give both, PEM files, or neither")
        for name, file in (("certificate", self.certificate), ("key", self.key)):
            if file and not Path(file).expanduser().is_file():
                raise ValueError(f"parameter {name} is {file!r}: there is no such file")
        if self.certificate:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*self.files())
            except (ssl.SSLError, OSError) as error:
                raise ValueError(f"parameters certificate and key: {error}") from None

    def files(self) -> tuple[str, str]:
        """Return the paths of certificate and key."""
        return str(Path(self.certificate).expanduser()), str(Path(self.key).expanduser())


class PageServer:
    """The running page.

    Args:
        desk: What all pages share.
        upload: Takes a picture that may become the goal.
        settings: Where it is served.

    Raises:
        ImportError: If NiceGUI cannot be imported.
        OSError: If no port is free.
    """

    def __init__(self, desk: Desk, upload: Upload, settings: Settings) -> None:
        # NiceGUI would make a folder for what pages store; nothing is stored.
        os.environ.setdefault("NICEGUI_STORAGE_PATH", str(Path(tempfile.gettempdir()) / f"rig_page_{os.getuid()}"))
        import uvicorn
        from fastapi import FastAPI
        from nicegui import ui

        from rig_robot.page import view

        application = FastAPI(openapi_url=None)
        view.register(desk)
        ui.run_with(
            application,
            title=view.TITLE,
            reconnect_timeout=10.0,
            tailwind=False,
            gzip_middleware_factory=None,
            show_welcome_message=False,
        )
        thread = LoopThread("page")
        self._services = thread.start(_begin(application)).result(STARTS)  # they end when this is forgotten
        listening = _listen(settings.address, settings.port)
        self.port = listening.getsockname()[1]
        open_to_others = not is_loopback(settings.address)
        self.token = settings.token or (secrets.token_urlsafe(18) if open_to_others else "")
        self.encrypted = bool(settings.certificate)
        access = Access(settings.address, self.port, self.token, settings.hosts)
        front = Front(access, desk.control, desk.gallery, upload, desk.episodes, Bridge(application, thread))
        certificate, key = settings.files() if self.encrypted else (None, None)
        config = uvicorn.Config(
            front,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="wsproto",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="front", daemon=True)
        self._thread.start()
        self._address = settings.address
        end = time.monotonic() + STARTS
        while not self._server.started and time.monotonic() < end:
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """The address to open, with the token where one is asked for."""
        host = socket.gethostname() if self._address in ("0.0.0.0", "::") else self._address
        host = f"[{host}]" if ":" in host else host
        token = f"/?token={self.token}" if self.token else ""
        return f"{'https' if self.encrypted else 'http'}://{host}:{self.port}{token}"

    def stop(self) -> None:
        """Stop answering."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(0.5)


async def _begin(application: Any) -> Any:
    """Start an application's own services, and return what keeps them running."""
    services = application.router.lifespan_context(application)
    await services.__aenter__()
    return services


def _listen(address: str, first: int) -> socket.socket:
    """Return a socket that listens on the first free port.

    Raises:
        OSError: If none is free.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    trouble: OSError | None = None
    for port in range(first, min(first + PORTS, 65536)) if first else (0,):
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((address, port))
            listening.listen(128)
            return listening
        except OSError as error:
            listening.close()
            trouble = error
    raise OSError(f"no port from {first} to {first + PORTS - 1} is free on {address}: {trouble}")
