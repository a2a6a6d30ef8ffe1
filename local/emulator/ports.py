"""Ports of this machine. The emulator has one, and the storefront the next."""

import socket

from operations.loopback import HOST


def free_port() -> int:
    """A port for a stack that nobody else needs to find: nothing listens on it now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def in_use(port: int) -> str:
    """The message for a port that is taken; it names one that is free, as is the next one."""
    free = next(other for other in range(4576, 65535, 10) if not (is_taken(other) or is_taken(other + 1)))
    return f"port {port} is in use; use another: npm start -- --port {free}"
