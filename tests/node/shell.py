"""A shell for tests that run blocks of commands from a page."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.support.waiting import wait_for

PATIENCE = 240.0
"""How long a block may take; generous, for a busy machine."""


class Shell:
    """One shell that runs block after block, as somebody who reads the page does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        own = {name: value for name, value in os.environ.items() if not name.startswith("CASGAN_NODE")}
        self.environment = own | {"PATH": path, "CASGAN_DATA": str(folder / "data")}
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._count = 0

    def run(self, code: str) -> str:
        """Run a block to its end; what it printed. Each of its commands has to succeed."""
        self._count += 1
        said, done = (self._folder / f"{self._count}.{end}" for end in ("out", "done"))
        script = self._folder / f"{self._count}.sh"
        script.write_text(f"trap 'false_at=$LINENO' ERR; false_at=0\n{code}\ntrap - ERR\n", encoding="utf-8")
        assert self._process.stdin is not None
        # Sourced, not run: jobs in the background and variables are those of this shell.
        self._process.stdin.write(f". ./{script.name} > {said.name} 2>&1; echo $false_at > {done.name}\n")
        self._process.stdin.flush()
        wait_for(lambda: done.is_file() and done.read_text(), lambda: f"the end of {code}", PATIENCE)
        text = said.read_text(encoding="utf-8", errors="replace")
        assert done.read_text() == "0\n", f"{code}\n{text[-2000:]}"
        return text

    def ask(self, code: str) -> str:
        """What a command prints, in a shell of its own; nothing if it fails."""
        environment = self.environment | {"CASGAN_NODE_CONFIG": "node.toml"}
        done = subprocess.run(
            code, shell=True, cwd=self._folder, env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else ""

    def close(self) -> None:
        """End it, and what it has left running."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill -KILL $(jobs -p) 2> /dev/null; exit\n")
        self._process.stdin.close()
        self._process.wait(30)
