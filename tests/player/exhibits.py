"""Runs with what the pipeline makes of them, for the player to play, and a server of them on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp
from uvicorn import Config, Server

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.player.shelf import Exhibit
from casgan_dicom.player.viewing import listening_socket
from tests.support.factories import Frames, moving_frames, write_xa
from tests.support.painter import DiscPainter
from tests.support.waiting import wait_for

DEADLINE_S = 60.0


def exhibit_in(
    folder: Path,
    frames: Frames | None = None,
    form: Mapping[str, Any] | None = None,
    **header: object,
) -> Exhibit:
    """A run of twelve frames, and what the pipeline made of it in this form (`ConvertOptions`)."""
    source = write_xa(folder / "in" / "a", moving_frames(12) if frames is None else frames, **header)
    return Exhibit((source,), converted(source, folder / "out", form))


def converted(source: Path, out: Path, form: Mapping[str, Any] | None = None) -> tuple[Path, ...]:
    """Put a file or folder through the pipeline; every object that it made."""
    report = convert_series([source], DiscPainter().as_generator, ConvertOptions(**(form or {})), out)
    assert report.exit_code == 0
    return tuple(sorted(out.rglob("*.dcm")))


@dataclass(frozen=True)
class Here:
    """A shelf of one exhibit, called ``one``."""

    exhibit: Exhibit

    def find(self, name: str) -> Exhibit | None:
        """The exhibit."""
        return self.exhibit if name == "one" else None


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """An application on a free port of loopback, for the time of a `with`; its address."""
    server = Server(Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
    with listening_socket(0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_for(lambda: server.started, "the server", DEADLINE_S)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
