"""The ports that the node listens on: free, held by the node that runs, or by another program."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.doctor.finding import Finding, fail, ok, warn
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.supervisor import supervisor_of

_LISTENS = "0A"
"""State of a socket in /proc/net/tcp, linux/tcp_states.h."""


@dataclass(frozen=True)
class Door:
    """A port of ours."""

    at: str
    """The table of the settings, as ``listener``."""
    host: str
    """Address or name to listen on."""
    port: int
    """TCP port."""
    before: str = ""
    """What its keys begin with there."""

    def key(self, name: str) -> str:
        """Where its host or port is set."""
        return f"{self.at}.{self.before}{name}"


@dataclass(frozen=True)
class Holder:
    """A process that listens on a port."""

    pid: int
    """Its process id."""
    program: str
    """What the system calls it."""


def doors(settings: NodeSettings) -> tuple[Door, ...]:
    """Every port that the settings want opened."""
    listener, web, page, host = settings.listener, settings.web, settings.page, settings.host
    found = [Door("listener", listener.host, listener.port)] if "listener" in host.roles else []
    others = (
        Door("web", web.host, web.port),
        Door("page", page.host, page.port),
        Door("host", host.share_host, host.share_port, "share_"),
    )
    return (*found, *(each for each in others if each.port))


def look_at_port(door: Door, settings: NodeSettings) -> Iterator[Finding]:
    """Whether the node could listen there, or does."""
    at, place = door.key("port"), f"{door.host}:{door.port}"
    if not door.port:
        advice = 'set one that peers can be told, as "port = 11112"'
        yield warn(at, "0: another free port at each start", advice)
        return
    try:
        _try(door)
    except OSError as error:
        yield _refused(door, error, settings)
    else:
        yield ok(at, f"{place} is free")


def holder_of(port: int) -> Holder | None:
    """Who listens on a port of this machine; None if nobody does, or if that is not ours to know."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net") / table, port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if any(_link(each) in inodes for each in (process / "fd").iterdir()):
                program = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return Holder(int(process.name), program)
    return None


def _link(entry: Path) -> str:
    """What an open file of a process is; empty if it has been closed."""
    with suppress(FileNotFoundError):
        return os.readlink(entry)  # noqa: PTH115  # a socket is no path
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    """Links to the sockets that listen on a port, as a process has them."""
    with suppress(OSError):  # no IP version 6 here
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            local, _, state, *_, inode = line.split()[1:10]
            if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                yield f"socket:[{inode}]"


def _try(door: Door) -> None:
    """Take the port as the listener would, and let it go. Raises OSError."""
    kind, _, _, _, address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)[0]
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _refused(door: Door, error: OSError, settings: NodeSettings) -> Finding:
    at, place = door.key("port"), f"{door.host}:{door.port}"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        said = "unknown" if isinstance(error, socket.gaierror) else "no address of this machine"
        advice = f'type an address of this machine, or host = "0.0.0.0" for all of them, in [{door.at}]'
        return fail(door.key("host"), f"'{door.host}' is {said}", advice)
    if error.errno == errno.EACCES:
        advice = f"set one from 1024 on in [{door.at}], or give the service CAP_NET_BIND_SERVICE"
        return fail(at, f"{place} may not be used by this user", advice)
    if error.errno != errno.EADDRINUSE:
        return fail(at, f"{place} cannot be used ({error.strerror})", f"set another in [{door.at}]")
    holder, supervisor = holder_of(door.port), supervisor_of(Layout(settings.data))
    if holder is not None and supervisor is not None and supervisor in _line_of(holder.pid):
        return ok(at, f"{place} is held by this node, which runs (process {holder.pid})")
    by = f"{holder.program} (process {holder.pid})" if holder else "a program of another user"
    if holder is None and supervisor is not None:
        return warn(at, f"{place} is held by {by}; this node runs, and may be it", "ask as the node's user")
    advice = f"stop that program, or set another port in [{door.at}], as port = {_next(door.port)}"
    return fail(at, f"{place} is held by another program, {by}", advice)


def _line_of(pid: int) -> set[int]:
    """A process, the one that started it, and so on."""
    found = set[int]()
    with suppress(OSError, ValueError):
        while pid and pid not in found:
            found.add(pid)
            told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            pid = int(told.rpartition(")")[2].split()[1])
    return found


def _next(port: int) -> int:
    return port + 1 if port < 65535 else 11112
