"""A process that runs toy workflows, for tests that kill it: ``python -m tests.node.workflow_process``.

    workflow_process.py DATABASE ROLE FOLDER

DATABASE is a file of SQLite, or a place in PostgreSQL as JSON.

Every step appends its name to FOLDER/<workflow>.steps, dies in the middle of the step that FOLDER/die names,
and raises in that which FOLDER/fail names. Where FOLDER/asleep is, only a bell makes it look at its queue.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.postgres_place import Place, PostgresPlace


class Toy:
    """Workflows of a few steps, all of which leave a trace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trace(self, workflow: str, step: str) -> str:
        """Leave a trace; die if told to."""
        with (self.folder / f"{workflow}.steps").open("a") as file:
            file.write(f"{step} by {os.getpid()}\n")
        fail = self.folder / "fail"
        if fail.exists() and fail.read_text() == f"{workflow} {step}":
            fail.unlink()
            raise OSError("a disk that is full for a moment")
        die = self.folder / "die"
        if die.exists() and die.read_text() == f"{workflow} {step}":
            die.unlink()
            os._exit(9)
        return step

    def parent(self, name: str) -> list[str]:
        """One step, one child, one step."""
        first = workflows.step("first", self.trace, name, "first")
        child = workflows.result_of("children", "child", f"{name}.child", f"{name}.child")
        return [first, child, workflows.step("last", self.trace, name, "last")]

    def child(self, name: str) -> str:
        """Three steps and a sleep."""
        for step in ("one", "two"):
            workflows.step(step, self.trace, name, step)
        workflows.pause(0.2)
        return str(workflows.step("three", self.trace, name, "three"))


def main(database: Place, role: str, folder: Path) -> None:
    """Serve the queue of a role until standard input ends; "enqueue NAME" on it starts a parent."""
    toy = Toy(folder)
    if (folder / "asleep").exists():
        workflows.LOOK_SECONDS = workflows.HOUSEKEEPING_SECONDS = workflows.WATCH_SECONDS = 3600.0
    served: dict[str, workflows.Workflow] = (
        {"parent": toy.parent} if role == "parents" else {"child": toy.child}
    )
    with workflows.serving(database, folder / "bells", role, served, [workflows.Queue(role, 2)]):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            _, _, name = line.strip().partition(" ")
            workflows.enqueue("parents", "parent", name, name)
    os._exit(0)


if __name__ == "__main__":
    where = sys.argv[1]
    place = PostgresPlace(**json.loads(where)) if where.startswith("{") else Path(where)
    main(place, sys.argv[2], Path(sys.argv[3]))
