"""Series for fault tests, and a modality that sends them as often as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from tests.support.factories import moving_frames, uid, write_xa

GIVE_UP_SECONDS = 120.0


def cine(folder: Path, name: str, *, frames: int = 4, **header: object) -> Path:
    """A series of one multi-frame instance, all of whose UIDs follow from its name."""
    own: dict[str, object] = {
        "StudyInstanceUID": uid(f"study {name}"),
        "SeriesInstanceUID": uid(f"series {name}"),
        "SOPInstanceUID": uid(f"cine {name}"),
    }
    return write_xa(folder / f"{uid(name)}.dcm", moving_frames(frames), **(own | header))


def stills(folder: Path, name: str, frames: int, **header: object) -> list[Path]:
    """A series of single-frame instances, in the order of time."""
    paths = []
    for k, frame in enumerate(moving_frames(frames)):
        own: dict[str, object] = {
            "StudyInstanceUID": uid(f"study {name}"),
            "SeriesInstanceUID": uid(f"series {name}"),
            "SOPInstanceUID": uid(f"still {name} {k}"),
            "InstanceNumber": k + 1,
            "AcquisitionTime": f"1000{k // 10:02d}.{k % 10}00000",
            "NumberOfFrames": None,
            "FrameTime": None,
            "FrameIncrementPointer": None,
        }
        paths.append(write_xa(folder / f"{uid(f'{name} {k}')}.dcm", frame[None], **(own | header)))
    return paths


def send(port: int, files: Sequence[Path], *, ae_title: str = "CATHLAB") -> list[StoreResult]:
    """Send files to a node, once; what it answered."""
    results: list[StoreResult] = []
    store(Peer("127.0.0.1", port, "CASGAN", ae_title), files, results.append)
    return results


def send_until_stored(
    port: int,
    files: Sequence[Path],
    *,
    ae_title: str = "CATHLAB",
    tls: PeerTls | None = None,
    host: str = "127.0.0.1",
) -> int:
    """Send again what was not acknowledged, as modalities do; how many attempts that took."""
    left, attempts, deadline = list(files), 0, monotonic() + GIVE_UP_SECONDS
    stored: set[Path] = set()
    while left:
        assert monotonic() < deadline, f"{len(left)} files were never acknowledged"
        attempts += 1
        results: list[StoreResult] = []
        with suppress(PeerError):
            store(Peer(host, port, "CASGAN", ae_title, tls=tls), left, results.append)
        stored |= {result.path for result in results if result.is_stored}
        left = [path for path in files if path not in stored]
    return attempts
