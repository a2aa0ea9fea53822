"""Several hosts on one PostgreSQL, for tests: each a whole node in a data folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from casgan_dicom.node.settings import (
    DestinationSettings,
    HostSettings,
    NodeSettings,
    PeerSettings,
    StateSettings,
)
from tests.node.nodes import PROGRAM, node_settings, wait_for
from tests.support.orthanc import free_ports

SECRET = "a secret of tests, and of nothing else\n"


def secret_in(folder: Path) -> Path:
    """The file with the secret of all hosts, made once."""
    path = folder / "hosts.secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


def host_settings(
    folder: Path,
    name: str,
    state: StateSettings,
    *destinations: DestinationSettings,
    **host: Any,  # noqa: ANN401
) -> NodeSettings:
    """A host of a name, with a small bundle that all of them share."""
    own = {"share_port": free_ports(1)[0], "secret_file": str(secret_in(folder)), "lease_seconds": 3.0}
    return replace(
        node_settings(folder, *destinations),
        data=folder / name,
        state=state,
        host=HostSettings(name=name, **{**own, **host}),
    )


def toml_of(settings: NodeSettings) -> str:
    """A configuration file with these settings, as far as hosts of tests differ from the defaults."""
    tables = {
        name: getattr(settings, name)
        for name in ("listener", "completion", "worker", "retry", "restart", "state", "host")
    }
    lines = [f"data = {json.dumps(str(settings.data))}"]
    for name, table in tables.items():
        lines += [f"[{name}]", *_changed(table, type(table)())]
    for each in settings.peers:
        lines += ["[[peers]]", *_changed(each, PeerSettings(""))]
    for place in settings.destinations:
        lines += ["[[destinations]]", *_changed(place, DestinationSettings(""))]
    return "\n".join(lines) + "\n"


def _changed(table: Any, default: Any) -> list[str]:  # noqa: ANN401  # any table of settings
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    changed = {key: value for key, value in values.items() if value != getattr(default, key)}
    return [
        f"{key} = {json.dumps(list(value) if isinstance(value, tuple) else value)}"
        for key, value in changed.items()
    ]


class HostProcess:
    """The program on one host, which may be killed with all its processes and started again.

    Parameters
    ----------
    settings
        Of the host; its port is a fixed one.
    before
        What to put before the command, to run it elsewhere.
    """

    def __init__(self, settings: NodeSettings, before: Sequence[str] = ()) -> None:
        self.settings = settings
        self._config = settings.data.with_suffix(".toml")
        self._output = settings.data.with_suffix(".txt")
        self._config.write_text(toml_of(settings))
        self._command = [*before, str(PROGRAM), "node", "--config", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.settings.host.name

    def start(self) -> None:
        """Start it; it may not be ready yet. From now on it is started again where it ends by itself."""
        self._run()
        self._over = threading.Event()
        threading.Thread(target=self._watch, args=[self._process, self._over], daemon=True).start()

    def _run(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, start_new_session=True
            )

    def _watch(self, process: subprocess.Popen[bytes], over: threading.Event) -> None:
        """Do what systemd does: a node that cannot reach its database at its start ends."""
        while not over.wait(0.5):
            if process.poll() is not None:
                self._run()
                assert self._process is not None
                process = self._process

    def wait_until_ready(self) -> None:
        """Wait until the program says, for the first time, that it listens."""
        wait_for(lambda: "stop:" in self.output(), lambda: f"{self.name} to be ready: {self.output()}", 240)

    def output(self) -> str:
        """Everything that it said."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, as when the power goes."""
        self._over.set()
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """Let it end."""
        self._over.set()
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
