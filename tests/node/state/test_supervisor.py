"""How a person reaches the supervisor of a folder, and what it answers."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.supervisor import Answer, is_held, last_answer, put_answer, supervisor_of


def test_answers_are_counted(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert last_answer(layout) == Answer(0, "")

    put_answer(layout, "")
    put_answer(layout, "a restart is needed")

    assert last_answer(layout) == Answer(2, "a restart is needed")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"number": 1}', b'{"other": 1}', b"\xff"])
def test_an_answer_that_is_damaged_is_none(tmp_path: Path, content: bytes) -> None:
    layout = Layout(tmp_path)
    layout.reload.write_bytes(content)

    assert last_answer(layout) == Answer(0, "")


@pytest.mark.parametrize(("written", "found"), [("4711", 4711), ("", None), ("no number", None)])
def test_a_process_id_counts_while_the_folder_is_held(
    tmp_path: Path, written: str, found: int | None
) -> None:
    layout = Layout(tmp_path)
    assert supervisor_of(layout) is None
    layout.lock.write_text(written)
    assert supervisor_of(layout) is None  # it was killed

    with layout.lock.open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert is_held(layout)
        assert supervisor_of(layout) == found
