"""Whether this process runs in a network namespace made for it, and what a test does where it does not.

Orthanc 1.10.1 binds every address, whatever its configuration says. So it never runs in the network of
the machine: `make test` runs the tests marked ``orthanc`` through in_namespace.sh, and this is checked here.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import absent

SCRIPT = Path(__file__).with_name("in_namespace.sh")
"""Makes the namespace and runs a command in it."""

OWN = Path("/proc/self/ns/net")
"""Link to the identity of this process's namespace."""

CABLE = "casgan"
"""How the names of interfaces begin that join namespaces of a test."""

VARIABLE = "CASGAN_TEST_NETNS"
"""Environment variable in which the script tells which namespace it made."""

NOT_PERMITTED, PROGRAM_MISSING = 125, 127
"""Exit statuses of the script where it makes no namespace."""

_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1  # linux/sockios.h, linux/if.h


def in_own_namespace() -> bool:
    """Whether this process runs in a namespace that the script made, and only loopback is up in it.

    Both are checked: the variable may have been inherited by a process that was moved elsewhere.
    """
    told = os.environ.get(VARIABLE)
    return bool(told) and told == str(OWN.readlink()) and interfaces_up() == ["lo"]


def interfaces_up() -> list[str]:
    """Names of the network interfaces that are up; some kernels put others, down, into every namespace.

    Those are left out that lead to machines of another test only (``two_networks.py``), which may run beside.
    """
    names = [name for _, name in socket.if_nameindex() if not name.startswith(CABLE)]
    return [name for name in names if _is_up(name)]


def need_namespace() -> None:
    """Skip the test outside a namespace of its own.

    With CI set it fails instead, unless this machine permits no namespace.
    """
    if in_own_namespace():
        return
    status, complaint = _try_script()
    if status == NOT_PERMITTED:
        pytest.skip(f"needs a network namespace of its own, which this machine does not permit: {complaint}")
    if status == PROGRAM_MISSING:
        absent(f"needs a network namespace of its own: {complaint}")
    absent(
        "needs a network namespace of its own: run `make test`, "
        "or pytest through tests/support/in_namespace.sh"
    )


def need_permission() -> None:
    """Skip the test where no namespace can be made; with CI set it fails if only a program is missing."""
    status, complaint = _try_script()
    if status == PROGRAM_MISSING:
        absent(complaint)
    if status:
        pytest.skip(complaint)


@functools.cache
def _try_script() -> tuple[int, str]:
    """Exit status and complaint of the script when it has nothing to do."""
    done = subprocess.run(["bash", str(SCRIPT), "true"], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip().removeprefix("no network namespace: ")


def _is_up(interface: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", interface.encode(), 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
    return bool(flags & _IFF_UP)
