"""The names that the server answers to.

A server on loopback is safe from other computers, but not from the web pages that its own user
visits: a page whose name is made to lead to 127.0.0.1 could talk to it (DNS rebinding). The browser
then sends that name as `Host`, which is not one of the server's own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from tenfold.serving.app.problems import ProblemError

_OWN = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Hosts:
    """Checks the `Host` of requests.

    Args:
        allowed: names that are answered to, without a port; None: any.
    """

    def __init__(self, allowed: Iterable[str] | None) -> None:
        self.allowed = None if allowed is None else frozenset(name.lower() for name in allowed)

    @classmethod
    def bound_to(cls, address: str, more: Iterable[str]) -> Hosts:
        """What suits a server at an address.

        Args:
            address: the IP address that it is bound to.
            more: names that the user allows. On loopback they are added to its own names; anywhere
                else nobody knows by what names it is reached, so that without any, all are allowed.
        """
        named = set(more)
        if ipaddress.ip_address(address).is_loopback:
            return cls(_OWN | named | {_bracketed(address)})
        return cls(named | _OWN if named else None)

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Refuse a request that is meant for another.

        Args:
            headers: names, in lower case, and values.

        Raises:
            ProblemError: 400 where there is not exactly one `Host`, 421 where it is another's.
        """
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1:
            raise ProblemError(400, "the request must have one Host header", close=True)
        if self.allowed is None:
            return
        name = _without_port(hosts[0].decode("latin-1")).lower()
        if name not in self.allowed:
            raise ProblemError(
                421,
                "this server does not go by the name in the Host header; "
                "whoever runs it can allow that name with --allow-host",
                close=True,
            )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not name.endswith(":") else host


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
