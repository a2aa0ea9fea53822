"""What one instance costs to send to a stock Orthanc, with our socket options and without, in one run.

bash tests/support/in_namespace.sh python -m tests.bench.bench_send [--instances 40] [--size 512] [--rounds 3]

Without the options each message waits for delayed acknowledgements, on this side and on the other. Several
associations are what a node sends a delivery of many objects by, unless the destination says otherwise.
DCMTK's storescu sends the same files for comparison, where it is installed. Orthanc writes each file to the
disk (fsync) before it answers, as it comes out of the box.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from casgan_dicom.node.settings import DestinationSettings
from tests.bench.machine import machine, say
from tests.support.factories import uid, write_xa
from tests.support.namespace import in_own_namespace
from tests.support.orthanc import Orthanc

Send = Callable[[], None]
AIM_MS = 5.0
"""An instance of 0.5 MB to a stock Orthanc."""
ASSOCIATIONS = DestinationSettings("", "", 0, "").associations
OURS, BARE = "with our socket options", "without them"


def make_files(folder: Path, instances: int, size: int) -> list[Path]:
    """Instances of one 16-bit frame of noise, `size` pixels square."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 4096, (instances, 1, size, size), dtype=np.uint16)
    return [
        write_xa(folder / f"{k}.dcm", frame, SOPInstanceUID=uid(f"sent {k}"))
        for k, frame in enumerate(frames)
    ]


def ours(peer: Peer, files: Sequence[Path], options: SocketOptions, associations: int = 1) -> Send:
    """Our own client; it raises unless everything is stored."""

    def send() -> None:
        results: list[StoreResult] = []
        store(peer, files, results.append, options=options, associations=associations)
        if [each.outcome for each in results] != ["stored"] * len(files):
            raise RuntimeError("not everything was stored")

    return send


def storescu(program: str, peer: Peer, files: Sequence[Path]) -> Send:
    """DCMTK's client."""
    command = [program, "-aec", peer.ae_title, peer.host, str(peer.port), *map(str, files)]

    def send() -> None:
        subprocess.run(command, check=True, capture_output=True)

    return send


def measure(ways: dict[str, Send], pacs: Orthanc, instances: int, rounds: int) -> dict[str, float]:
    """Milliseconds per instance of each way, association included: the median of interleaved rounds."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, send in ways.items():
            pacs.delete_all()  # what it has already, it would not write again
            start = time.perf_counter()
            send()
            spent[name].append((time.perf_counter() - start) / instances * 1e3)
            if pacs.statistics().instances != instances:
                raise RuntimeError("Orthanc does not hold what was sent")
    return {name: float(np.median(values)) for name, values in spent.items()}


def main() -> None:
    """Print the time per instance of each way, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=40)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if not in_own_namespace():
        say("not measured: Orthanc binds every address, so it needs tests/support/in_namespace.sh")
        return
    with tempfile.TemporaryDirectory() as name:
        files = make_files(Path(name) / "files", args.instances, args.size)
        with Orthanc.stock(Path(name) / "orthanc") as pacs:
            peer = Peer("127.0.0.1", pacs.dicom_port, pacs.aet)
            ways = {
                OURS: ours(peer, files, SocketOptions()),
                f"the same, {ASSOCIATIONS} associations": ours(peer, files, SocketOptions(), ASSOCIATIONS),
                BARE: ours(peer, files, SocketOptions(no_delay=False, quick_ack=False)),
            }
            if program := shutil.which("storescu"):
                ways["DCMTK storescu"] = storescu(program, peer, files)
            found = measure(ways, pacs, args.instances, args.rounds)
    megabytes = 2 * args.size**2 / 1e6
    say(
        f"{args.instances} instances of {megabytes:.2f} MB to a stock Orthanc, median of {args.rounds} rounds"
    )
    for way, milliseconds in found.items():
        say(f"  {way:<27} {milliseconds:8.1f} ms/instance")
    say(
        f"  without options / with them {found[BARE] / found[OURS]:5.1f}; aim: {AIM_MS:g} ms/instance at most"
    )
    say(machine())


if __name__ == "__main__":
    main()
