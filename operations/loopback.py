"""This machine's own addresses: the one that every local server binds to, and those that count as this machine."""

import os
import socket
from urllib.parse import urlsplit

HOST = "127.0.0.1"
"""The address that every local server binds to."""

_CONNECT_TIMEOUT_SECONDS = 5
_NAMES = {HOST, "::1", "localhost"}


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    return urlsplit(url).hostname in _NAMES


def is_listening(url: str) -> bool:
    """Whether a server listens there."""
    address = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(_CONNECT_TIMEOUT_SECONDS)
        return probe.connect_ex((address.hostname, address.port)) == 0


def bypass_proxies() -> None:
    """Reach HOST directly, in this process and in those that it starts, whatever proxy the user has configured."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = f"{HOST},{os.environ.get(name, '')}"
