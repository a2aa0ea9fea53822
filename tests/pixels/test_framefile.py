"""Frames that go through a file."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from casgan_dicom.pixels.framefile import FrameWriter
from tests.support.factories import moving_frames


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_frames_come_back_in_any_order_as_they_were_written(bits: int) -> None:
    frames = moving_frames(5, 7, 9, bits=bits)
    writer = FrameWriter(io.BytesIO(), 7, 9, bits)

    for frame in frames:
        writer.write(frame)
    made = writer.finish()

    assert (made.frames, made.rows, made.columns, made.bits) == (5, 7, 9, bits)
    for k in (4, 0, 2, 2):
        np.testing.assert_array_equal(made.read(k), frames[k])


@pytest.mark.parametrize(("bits", "length"), [(8, 64), (12, 126)])
def test_the_file_is_a_legal_value_whose_digest_leaves_the_padding_out(bits: int, length: int) -> None:
    frame = moving_frames(1, 7, 9, bits=bits)[0]
    file = io.BytesIO()
    writer = FrameWriter(file, 7, 9, bits)

    writer.write(frame)
    made = writer.finish()

    assert len(file.getvalue()) == length
    assert made.sha256 == hashlib.sha256(frame.astype("u1" if bits == 8 else "<u2").tobytes()).hexdigest()
    assert made.file.tell() == 0


def test_a_frame_of_another_shape_is_refused() -> None:
    writer = FrameWriter(io.BytesIO(), 7, 9)

    with pytest.raises(ValueError, match="need"):
        writer.write(np.zeros((9, 7), np.uint8))


@pytest.mark.parametrize("k", [-1, 1])
def test_there_is_no_frame_beyond_the_last(k: int) -> None:
    writer = FrameWriter(io.BytesIO(), 2, 2)
    writer.write(np.zeros((2, 2), np.uint8))

    with pytest.raises(IndexError):
        writer.finish().read(k)
