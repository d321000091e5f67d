"""Ports of the loopback interface: free ones, and the owners of others."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
CANDIDATES = range(12_000, 22_000)
"""Below Linux's range of ephemeral ports (from 32768), twins included: a stopped server's port stays free."""
TWIN_OFFSET = 10_000
"""SeaweedFS listens for gRPC on each of its ports plus this."""
LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp."""


def port_is_free(port: int) -> bool:
    """Return True if a server can listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores connections in TIME_WAIT
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """Return True if a server accepts connections on this port."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2):
        return True
    return False


def pick_port(*, taken: set[int], preferred: int | None = None) -> int:
    """Pick a free port whose twin is free too, neither of them in `taken`. Raises RuntimeError."""
    candidates = random.sample(CANDIDATES, 1000)
    for port in [preferred, *candidates] if preferred else candidates:
        twin = port + TWIN_OFFSET
        if not {port, twin} & taken and port_is_free(port) and port_is_free(twin):
            return port
    raise RuntimeError(f"no free port between {CANDIDATES.start} and {CANDIDATES.stop}")


def port_owner(port: int) -> str:
    """Describe the process that listens on this port. Only root can see processes of other users."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds_socket(process, inodes):
            return f"process {process.name} ({_command(process)})"
    return "a process of another user"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()  # 1: local address, 3: state, 9: inode
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _holds_socket(process: Path, inodes: set[str]) -> bool:
    links = {f"socket:[{inode}]" for inode in inodes}
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) in links:
                    return True
    return False


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "gone"
