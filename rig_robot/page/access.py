"""Decides which requests the operator's page answers: to a known host, by its own page, with the token if one is set.

A web page of somebody else, open in the same browser, can send requests to this machine. It cannot choose the `Host`
and `Origin` that the browser writes into them, and it does not know the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Scope = Mapping[str, Any]
"""A connection as ASGI describes it."""

FROM_ELSEWHERE = ("cross-site", "same-site")
"""Values of `Sec-Fetch-Site` for requests that another site's page has caused."""


class Refusal(NamedTuple):
    """Why a request is not answered: HTTP status and one sentence."""

    status: int
    text: str


@dataclass(frozen=True)
class Access:
    """Who may use the page.

    Attributes:
        address: The IP address that the page listens on.
        port: Its port, which names the cookie: cookies are shared by all ports of a host.
        token: What a browser must know; empty: nothing is asked for.
        hosts: Names, beside IP addresses, `localhost` and this machine's name, by which browsers may call this machine.
    """

    address: str
    port: int
    token: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token."""
        return f"rig_page_{self.port}"

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why an HTTP request or a websocket is refused; None where it may be answered."""
        hosts = _all(scope, b"host")
        if len(hosts) != 1 or not self._knows(hosts[0]):
            return Refusal(
                421,
                f"Host is {', '.join(hosts)[:80]!r}: call this machine by its IP address or by a name that it knows",
            )
        if wrong := self._wrong_origin(scope, hosts[0]):
            return Refusal(403, wrong)
        if self.token and not self._has_token(scope):
            return Refusal(403, "no valid token: open the address that was printed when the console started")
        return None

    def offers_token(self, scope: Scope) -> bool:
        """Return whether the address of a request holds the right token, to be put into a cookie."""
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        return bool(self.token) and len(given) == 1 and _same(given[0], self.token)

    def _has_token(self, scope: Scope) -> bool:
        if self.offers_token(scope):
            return True
        try:
            cookies = SimpleCookie("; ".join(_all(scope, b"cookie")))
        except CookieError:
            return False
        held = cookies.get(self.cookie)
        return held is not None and _same(held.value, self.token)

    def _knows(self, host: str) -> bool:
        """Return whether browsers may call this machine so: a name of another one could be made to lead here."""
        name = _without_port(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in {"localhost", socket.gethostname().lower(), *(known.lower() for known in self.hosts)}
        # Nobody can make an address lead elsewhere; on the loopback only the loopback's make sense.
        return address.is_loopback or not is_loopback(self.address)

    def _wrong_origin(self, scope: Scope, host: str) -> str | None:
        """Return what is wrong with where a request comes from; None where it comes from this page."""
        secure = scope.get("scheme") in ("https", "wss")
        own = f"{'https' if secure else 'http'}://{host.lower()}"
        origins = _all(scope, b"origin")
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not origins and not reads:
            return f"a request that acts must say where it comes from: Origin {own}"
        if any(origin.lower() != own for origin in origins):
            return f"Origin is {', '.join(origins)[:80]!r}: only this page itself, {own}, may do that"
        opens = reads and _all(scope, b"sec-fetch-mode") == ["navigate"]  # a person who follows a link
        if not opens and any(site in FROM_ELSEWHERE for site in _all(scope, b"sec-fetch-site")):
            return f"another site's page asks for this: only this page itself, {own}, may do that"
        return None


def is_loopback(address: str) -> bool:
    """Return whether an IP address can be reached from this machine only.

    Raises:
        ValueError: If it is no IP address.
    """
    return ipaddress.ip_address(address).is_loopback


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name]


def _without_port(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
