"""Bytes that Hypothesis changes: whatever a file or message may hold where it was damaged."""

from __future__ import annotations

from hypothesis import strategies as st


def change_bytes(data: st.DataObject, content: bytearray, first: int, last: int) -> None:
    """Put any values in the place of up to three bytes that lie from `first` to `last`."""
    for at in data.draw(st.lists(st.integers(first, last), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
