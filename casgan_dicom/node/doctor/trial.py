"""How fast a bundle draws on a device here: a process of its own, as a worker is one.

    python -m casgan_dicom.node.doctor.trial < settings of the worker as JSON, with the device

It loads the bundle as a worker does, draws a short run of frames and answers with one line of JSON: a
`Measured`, or what is wrong. It writes nothing to the disk.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from casgan_dicom.errors import CasganError
from casgan_dicom.memory import give_back_memory
from casgan_dicom.node.settings import WorkerSettings
from casgan_dicom.node.work.bundles import Bundles

FRAMES, SIDE = 8, 512
"""Of the run: as large as most cine, and long enough that its beginning does not count."""


@dataclass(frozen=True)
class Measured:
    """How fast it went."""

    engine: str = ""
    """What runs the networks."""
    device: str = ""
    """Where they run."""
    load_seconds: float = 0.0
    """Until the bundle could draw."""
    frame_seconds: float = 0.0
    """For a frame, the plan of the run included."""
    peak_bytes: int = 0
    """Most memory that the process had."""
    error: str = ""
    """What is wrong; empty where it was measured."""
    hint: str = ""
    """What to do about it."""


def measure(worker: WorkerSettings, device: str) -> Measured:
    """Load the bundle of a worker, and draw. Raises what loading raises."""
    give_back_memory()
    begun = perf_counter()
    generator = Bundles(worker, device).load()
    loaded = perf_counter()
    rows = np.linspace(0.2, 0.8, SIDE, dtype=np.float32)
    frames = np.tile(rows, (FRAMES, SIDE, 1))
    generator(frames)  # the first run makes what later ones use
    drawing = perf_counter()
    generator(frames)
    seconds = (perf_counter() - drawing) / FRAMES
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(generator.engine, generator.device, loaded - begun, seconds, peak)


def _main() -> None:
    told: dict[str, Any] = json.load(sys.stdin)
    device = str(told.pop("device"))
    worker = WorkerSettings(**told | {"devices": tuple(told["devices"])})
    try:
        measured = measure(worker, device)
    except CasganError as error:
        measured = Measured(error=error.message, hint=error.hint)
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")


if __name__ == "__main__":
    _main()
