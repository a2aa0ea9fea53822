"""Other settings reach the part of a process that they are for, whenever that is ready."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.node.changes import Changes
from casgan_dicom.node.settings import NodeSettings

FIRST, SECOND = NodeSettings(), replace(NodeSettings(), data=Path("/second"))


def test_what_came_before_somebody_listened_is_taken_then_and_only_the_latest() -> None:
    changes, taken = Changes(), list[tuple[NodeSettings, str]]()
    changes.tell(FIRST, "a")
    changes.tell(SECOND, "b")

    changes.hear(lambda settings, recipe: taken.append((settings, recipe)))
    changes.tell(FIRST, "c")

    assert taken == [(SECOND, "b"), (FIRST, "c")]
