"""A listener in a process of its own, for tests that kill it, trace it or take its disk away.

    python -m tests.faults.listener_process DATA PORT MIN_FREE_BYTES KEYS STATE

KEYS are other settings of the listener, and STATE those of its databases, in JSON.

Prints its port when it listens. SIGTERM or the end of its input stop it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from types import MappingProxyType, TracebackType

from casgan_dicom.log import configure
from casgan_dicom.node.receive.listener import run_listener
from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.state.books import ledger_place
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.postgres_place import Place
from tests.node.listening import resident_bytes, settings_for
from tests.node.secure import Door
from tests.node.tables import rows_in

ROOT = Path(__file__).resolve().parents[2]


class ListenerProcess:
    """A listener that can be started again after it was killed.

    Parameters
    ----------
    data
        Its data folder.
    port
        Where it listens; 0 for a free port, which it keeps.
    min_free_bytes
        Its watermark.
    before
        What comes before the command, e.g. a tracer.
    keys
        Other settings of the listener.
    state
        Where its ledger is.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        min_free_bytes: int = 0,
        before: Sequence[str] = (),
        keys: Mapping[str, object] = MappingProxyType({}),
        state: StateSettings | None = None,
    ) -> None:
        self.layout = Layout(data)
        self._state = state or StateSettings()
        self.place = ledger_place(NodeSettings(data=data, state=self._state))
        """Where its ledger is."""
        self.port = port
        self._min_free_bytes = min_free_bytes
        self._before = before
        self._keys = json.dumps(dict(keys))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ListenerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        arguments = [str(self.layout.data), str(self.port), str(self._min_free_bytes), self._keys]
        arguments.append(json.dumps(asdict(self._state)))
        self._process = subprocess.Popen(
            [*self._before, sys.executable, "-m", "tests.faults.listener_process", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the listener ended with code {self._process.wait()} before it listened"
        self.port = int(line)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process that was started."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Its process id, that of the program that `before` starts included."""
        return self.running.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.running.poll() is None

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.running.kill()
        self._forget()

    def stop(self, seconds: float = 60) -> int:
        """Ask it to stop; its exit code."""
        assert self.running.stdin is not None
        self.running.stdin.close()
        code = self.running.wait(seconds)
        self._forget()
        return code

    def resident_bytes(self) -> int:
        """Its resident memory."""
        return resident_bytes(self.pid)

    def threads_and_files(self) -> tuple[int, int]:
        """How many threads and open files it has."""
        process = Path(f"/proc/{self.pid}")
        return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))

    def _forget(self) -> None:
        process, self._process = self.running, None
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class EchoWatch(threading.Thread):
    """Echoes all the time, each over a new connection from 127.0.0.1, and remembers the longest."""

    def __init__(self, door: Door, pause: float = 0.1) -> None:
        super().__init__(daemon=True)
        self._door = door
        self._pause = pause
        self._stop_asked = threading.Event()
        self.longest = 0.0
        """Seconds from the connection to the answer."""
        self.count = 0
        self.failures = 0

    def run(self) -> None:
        """Echo until `stop`."""
        while not self._stop_asked.wait(self._pause):
            start = monotonic()
            try:
                with self._door.associated(calling="WATCH") as wire:
                    assert wire.echo() == 0
                    self.longest = max(self.longest, monotonic() - start)
                    self.count += 1
                    with suppress(AssertionError):
                        wire.release()
            except (AssertionError, OSError):
                self.failures += 1

    def __enter__(self) -> EchoWatch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_asked.set()
        self.join()


def stored(place: Place) -> dict[tuple[str, str], Path]:
    """Path by SOP Instance UID and digest of every instance in the ledger."""
    return {(row["sop_uid"], row["sha256"]): Path(row["path"]) for row in rows_in(place)}


def main() -> None:
    """Run a listener."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop.set).start())
    data, port, min_free_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    configure()

    def wait_for_end_of_input() -> None:
        sys.stdin.buffer.read()
        stop.set()

    def ready(real_port: int) -> None:
        sys.stdout.write(f"{real_port}\n")
        sys.stdout.flush()
        threading.Thread(target=wait_for_end_of_input, daemon=True).start()

    settings = settings_for(data, (), port=port, min_free_bytes=min_free_bytes, **json.loads(sys.argv[4]))
    settings = replace(settings, state=StateSettings(**json.loads(sys.argv[5])))
    run_listener(settings, "recipe", ready, stop)


if __name__ == "__main__":
    main()
