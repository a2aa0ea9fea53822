"""What receiving costs: our listener beside DCMTK's storescp, Orthanc and stock pynetdicom, in one run.

bash tests/support/in_namespace.sh python -m tests.bench.bench_receive [--repeats 3] [--small 300]
    [--large 20]

One sender for all, the same bytes, each response awaited; over one association, and over eight at once. It
acknowledges at once (TCP_NODELAY, TCP_QUICKACK), so that nobody's time is that of the kernel's timers. Ours
and Orthanc answer when the instance is safe on the disk (fsync), the others when it is written. storescp
stands there once more with the time that it then takes to flush all of its files one by one: what it would
have to do at least. Ours stands there once more with TLS, for which the sender has to encipher on the same
machine. Orthanc runs only in a network namespace.
"""

from __future__ import annotations

import argparse
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, perf_counter, sleep

from tests.bench.machine import machine, without_log
from tests.faults.listener_process import ListenerProcess
from tests.faults.senders import Template
from tests.node.secure import Authority, Door, client, listener_keys
from tests.node.wire import ASSOCIATE_AC, XA, XA_CONTEXT, Wire, associate_rq, p_data, store_command
from tests.support.namespace import in_own_namespace
from tests.support.orthanc import Orthanc, free_ports
from tests.support.programs import find_program

SMALL, LARGE = 500_000, 26_000_000
"""Bytes of Pixel Data: one frame of 500 × 1000, and a cine."""
ORTHANC = "Orthanc, fsync"
OURS = "casgan-dicom, fsync"
SECURE = "casgan-dicom, fsync, TLS"
SYNCED = "DCMTK storescp, then fsync"
AT_ONCE = 8
"""Associations that send at the same time."""
AIMS = {
    (SMALL, 1): f"{OURS}: 3.00 × {ORTHANC} at least",
    (LARGE, 1): f"{OURS}: 1.00 × {SYNCED} at least; {SECURE}: 0.70 × {OURS} at least",
    (SMALL, AT_ONCE): f"{OURS}: 1.50 × its one association at least, memory as with one",
}
"""By length of an instance and number of associations."""
START_SECONDS = 30.0


@dataclass(frozen=True)
class Receiver:
    """Something that listens."""

    port: int
    """Where."""
    ae_title: str
    """What it is called."""
    pid: int
    """Its process."""
    context: ssl.SSLContext | None = None
    """How to talk TLS to it; None for without."""
    flushed: Path | None = None
    """Folder whose files are flushed behind the last response; None where that is not counted."""


@dataclass(frozen=True)
class Speed:
    """How fast instances were taken."""

    per_second: float
    """Instances."""
    megabytes: float
    """10^6 bytes a second."""
    resident: float
    """Most MiB of memory, from the start."""


@contextmanager
def ours(folder: Path) -> Iterator[Receiver]:
    """The node's listener."""
    with ListenerProcess(folder) as listener:
        yield Receiver(listener.port, "CASGAN", listener.pid)


@contextmanager
def secure(folder: Path) -> Iterator[Receiver]:
    """The same with TLS 1.3, and certificates of both ends."""
    authority = Authority.make(folder.with_name("certificates"), "ca")
    keys = listener_keys(authority, authority.issue("node"))
    with ListenerProcess(folder, keys=keys) as listener:
        yield Receiver(listener.port, "CASGAN", listener.pid, client(authority, authority.issue("modality")))


@contextmanager
def storescp(folder: Path) -> Iterator[Receiver]:
    """DCMTK's storescp, which writes what it reads."""
    program = find_program("storescp", "dcmtk")
    yield from _program(
        folder, lambda port: [program, "-aet", "STORESCP", "+B", "-od", str(folder), str(port)]
    )


@contextmanager
def synced_storescp(folder: Path) -> Iterator[Receiver]:
    """The same, whose files are flushed at the end."""
    with storescp(folder) as receiver:
        yield replace(receiver, flushed=folder)


@contextmanager
def orthanc(folder: Path) -> Iterator[Receiver]:
    """Orthanc, with fsync, which is its default."""
    with Orthanc.stock(folder) as pacs:
        yield Receiver(pacs.dicom_port, pacs.aet, pacs.pid)


@contextmanager
def pynetdicom(folder: Path) -> Iterator[Receiver]:
    """The storescp of pynetdicom."""
    module = [sys.executable, "-m", "pynetdicom", "storescp"]
    yield from _program(folder, lambda port: [*module, str(port), "-aet", "STORESCP", "-od", str(folder)])


RECEIVERS: Mapping[str, Callable[[Path], AbstractContextManager[Receiver]]] = {
    OURS: ours,
    SECURE: secure,
    ORTHANC: orthanc,
    SYNCED: synced_storescp,
    "DCMTK storescp": storescp,
    "pynetdicom storescp": pynetdicom,
}


def _program(folder: Path, command: Callable[[int], list[str]]) -> Iterator[Receiver]:
    """Run a program that listens on a free port."""
    folder.mkdir()
    (port,) = free_ports(1)
    process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = monotonic() + START_SECONDS
        while True:
            try:
                Wire(port).socket.close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or monotonic() > deadline:
                    raise
                sleep(0.05)
        yield Receiver(port, "STORESCP", process.pid)
    finally:
        process.kill()
        process.wait()


def send(
    receiver: Receiver, template: Template, length: int, count: int, series: int = 1
) -> tuple[float, float]:
    """Send instances of a series over one association; when it began and when it ended, in seconds."""
    with Door(receiver.port, receiver.context).wire(seconds=120) as wire:
        wire.send(associate_rq(called=receiver.ae_title))
        kind, answer = wire.read()
        assert kind == ASSOCIATE_AC
        largest = int.from_bytes(answer[answer.index(b"\x51\0\0\4") + 4 :][:4], "big")
        piece = min(largest or 131072, 131072) - 6
        pieces = _pieces(template.instance(1, 1, length)[1], piece)
        rest = b"".join(pieces[1:])
        firsts = []
        for number in range(count):
            sop_uid, head = template.instance(series, number, 0)
            firsts.append(p_data(XA_CONTEXT, 3, store_command(XA, sop_uid)) + _with_head(pieces[0], head))
        start = perf_counter()
        for first in firsts:
            wire.send(first)
            wire.send(rest)
            assert wire.reply().status == 0
        if receiver.flushed is not None:
            for path in receiver.flushed.iterdir():
                _flush(path)
        end = perf_counter()
        wire.release()
    return start, end


def speed(receiver: Receiver, template: Template, length: int, count: int, associations: int) -> Speed:
    """Send so many instances over each of some associations at once."""
    with ThreadPoolExecutor(associations) as pool:
        sent = [
            pool.submit(send, receiver, template, length, count, 1 + series) for series in range(associations)
        ]
        times = [each.result() for each in sent]
    seconds = max(end for _, end in times) - min(start for start, _ in times)
    total = associations * count
    return Speed(total / seconds, total * length / seconds / 1e6, _peak_mib(receiver.pid))


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _pieces(content: bytes, piece: int) -> list[bytes]:
    """A data set as PDUs."""
    return [
        p_data(XA_CONTEXT, 2 * (at + piece >= len(content)), content[at : at + piece])
        for at in range(0, len(content), piece)
    ]


def _with_head(first: bytes, head: bytes) -> bytes:
    """The first PDU of a data set with the elements before Pixel Data of another one, as long as its own."""
    header = head[:-4]  # without the length of Pixel Data
    return first[:12] + header + first[12 + len(header) :]


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kib) / 1024


def measure(args: argparse.Namespace) -> dict[tuple[str, int, int], list[Speed]]:
    """All receivers in all cases, in turn, so that a busy moment meets all of them."""
    found: dict[tuple[str, int, int], list[Speed]] = {}
    names = [name for name in RECEIVERS if args.only in name and (name != ORTHANC or in_own_namespace())]
    with tempfile.TemporaryDirectory(dir=args.folder) as top:
        for turn in range(args.repeats):
            for length, associations in AIMS:
                count = (args.small if length == SMALL else args.large) // associations
                for name in names:
                    if associations > 1 and name == SYNCED:  # each association would flush the files of all
                        continue
                    folder = Path(top) / f"{turn} {length} {associations} {name}"
                    folder.mkdir()
                    taken = _one(name, folder, length, count, associations)
                    found.setdefault((name, length, associations), []).append(taken)
                    _empty(folder)
    return found


def _one(name: str, folder: Path, length: int, count: int, associations: int) -> Speed:
    """One receiver in one case."""
    template = Template(folder)
    with RECEIVERS[name](folder / "received") as receiver:
        send(receiver, template, length, 2, 99)  # what it does only once is not counted
        return speed(receiver, template, length, count, associations)


def _empty(folder: Path) -> None:
    """Free the space of the files, but not their inodes.

    For half a minute ext4 searches every inode that was deleted for one that is old enough to be used again,
    so whoever comes next would pay milliseconds for each file that another one left.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)


def report(found: Mapping[tuple[str, int, int], list[Speed]]) -> None:
    """Medians, side by side."""
    for (length, associations), aim in AIMS.items():
        sys.stdout.write(f"instances of {length / 1e6:g} MB, associations at once: {associations}\n")
        for name in RECEIVERS:
            if speeds := found.get((name, length, associations)):
                ratios = [
                    f"{_rate(speeds) / _rate(base):6.2f} × {what}"
                    for what, base in (
                        (ORTHANC, found.get((ORTHANC, length, associations))),
                        (SYNCED, found.get((SYNCED, length, associations))),
                        (OURS, found.get((OURS, length, associations)) if name == SECURE else None),
                        ("one association", found.get((name, length, 1)) if associations > 1 else None),
                    )
                    if base
                ]
                megabytes = statistics.median(speed.megabytes for speed in speeds)
                sys.stdout.write(
                    f"  {name:26} {_rate(speeds):8.1f} /s {megabytes:8.1f} MB/s "
                    f"{max(speed.resident for speed in speeds):8.1f} MiB {', '.join(ratios)}\n"
                )
        sys.stdout.write(f"  aim: {aim}\n")
    if not any(name == ORTHANC for name, *_ in found):
        sys.stdout.write(
            "  Orthanc was left out: it needs a network namespace (tests/support/in_namespace.sh)\n"
        )
    sys.stdout.write(machine() + "\n")


def _rate(speeds: list[Speed]) -> float:
    return statistics.median(speed.per_second for speed in speeds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", type=int, default=300, help="instances of 0.5 MB")
    parser.add_argument("--large", type=int, default=20, help="instances of 26 MB")
    parser.add_argument("--only", default="", help="receivers with this in their name")
    parser.add_argument("--folder", help="where they store; a real disk")
    args = parser.parse_args()
    with without_log():
        found = measure(args)
    report(found)


if __name__ == "__main__":
    main()
