"""Finds out on which addresses the processes of this program listen beyond their own machine.

Reads what Linux tells in ``/proc``; elsewhere nobody is asked.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["exposed_addresses"]

_PROC = Path("/proc")
_LISTENING = "0A"


def exposed_addresses(process: int) -> list[str] | None:
    """Return where a process or one that it started listens for other machines.

    Args:
        process: its id.

    Returns:
        ``address:port``, sorted; None where this system does not tell.
    """
    if sys.platform != "linux":
        return None
    try:
        family = _family(process)
        sockets = {inode for member in family for inode in _sockets(member)}
        return sorted(
            f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
            for inode, address, port in _listeners()
            if inode in sockets and not _is_local(address)
        )
    except OSError:
        return None


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _family(process: int) -> set[int]:
    parents = dict(_parents())
    family = {process}
    while True:
        more = {child for child, parent in parents.items() if parent in family} - family
        if not more:
            return family
        family |= more


def _parents() -> Iterator[tuple[int, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text(errors="replace")
            except OSError:
                continue  # it has just ended
            # the second field is the name, which may hold anything, brackets and blanks too
            yield int(entry.name), int(text.rpartition(")")[2].split()[1])


def _sockets(process: int) -> Iterator[str]:
    try:
        descriptors = list((_PROC / str(process) / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _listeners() -> Iterator[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING:
                address, _, port = fields[1].partition(":")
                yield fields[9], _address(address), int(port, 16)


def _address(packed: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    # words of 32 bits in the byte order of the machine
    words = [int(packed[begin : begin + 8], 16) for begin in range(0, len(packed), 8)]
    content = b"".join(struct.pack("=I", word) for word in words)
    family = socket.AF_INET if len(content) == 4 else socket.AF_INET6
    return ipaddress.ip_address(socket.inet_ntop(family, content))
