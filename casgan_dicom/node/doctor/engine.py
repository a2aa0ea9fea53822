"""The engine of each device, measured: how fast it draws, what that means for a cine, and what it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from casgan_dicom.node.doctor.finding import Finding, fail, ok, warn
from casgan_dicom.node.settings import NodeSettings

if TYPE_CHECKING:
    from casgan_dicom.node.doctor.trial import Measured

ENGINE_SECONDS = 300.0
"""For one device, the first start of its engine included."""
CINE_FRAMES = 100
"""Of the cine that a person imagines."""
_SLOW_SECONDS = 600.0
"""A cine that takes longer is no use to those who wait for it."""
_OTHERS_BYTES = 600 * 2**20
"""What the other processes of a node take together, measured on an idle one."""


def look_at_engine(settings: NodeSettings, device: str) -> Iterator[Finding]:
    """How fast a device draws, and whether its workers fit into memory."""
    about = f"worker {device}"
    measured = _measured(settings, device)
    if measured is None:
        yield fail(
            about, f"no frame within {ENGINE_SECONDS:g} s, or it died", 'try engine = "torch" in [worker]'
        )
        return
    if measured.error:
        yield fail(about, measured.error, measured.hint)
        return
    cine = measured.frame_seconds * CINE_FRAMES
    told = (
        f"{measured.engine} on {measured.device}: {measured.frame_seconds:.2g} s for a frame of 512x512,"
        f" about {cine:.0f} s to draw a cine of {CINE_FRAMES}; loaded in {measured.load_seconds:.0f} s"
    )
    yield (
        ok(about, told)
        if cine < _SLOW_SECONDS
        else warn(about, told, "use a machine with a GPU, or more cores")
    )
    yield _of_memory(measured, len(settings.worker.devices))


def available_bytes() -> int:
    """Memory that processes can still have: of the machine, or of the group that this process is in."""
    found = []
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        found += [int(limit) - used] if limit.isdigit() else []
    except (OSError, ValueError):  # another kind of groups, or none
        pass
    return min(found, default=0)


def _measured(settings: NodeSettings, device: str) -> Measured | None:
    """What the trial said; None if it did not."""
    # Imported here: it brings numpy, and the checks of ports and peers need not wait for it.
    from casgan_dicom.node.doctor.trial import Measured  # noqa: PLC0415

    told = json.dumps(asdict(settings.worker) | {"device": device})
    environment = {**os.environ, "CASGAN_CACHE": "no"}  # nothing stays on the disk
    command = [sys.executable, "-P", "-m", "casgan_dicom.node.doctor.trial"]
    try:
        done = subprocess.run(
            command,
            input=told,
            capture_output=True,
            text=True,
            env=environment,
            timeout=ENGINE_SECONDS,
            check=False,
        )
        return Measured(**json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError, TypeError):
        return None


def _of_memory(measured: Measured, workers: int) -> Finding:
    needed, available = workers * measured.peak_bytes + _OTHERS_BYTES, available_bytes()
    told = (
        f"{available / 2**30:.1f} GiB to be had; a worker took {measured.peak_bytes / 2**30:.1f} GiB,"
        f" the node about {needed / 2**30:.1f} GiB"
    )
    if needed > available:
        return warn(
            "memory", told, "fewer devices in [worker], or more memory; a node that runs has its own already"
        )
    return ok("memory", told)
