"""RLE Lossless by whole arrays: the oracle is a decoder written from the standard.

What other decoders make of it is in test_compress.py.
"""

from __future__ import annotations

import struct
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.pixels.rle import check_segments, encode_rle
from tests.support.encoded import noisy_frames
from tests.support.factories import Frames


def unpacked(segment: bytes, rows: int, columns: int) -> bytes:
    """One segment decoded by PS3.5 G.3.2, its rules for encoders checked on the way."""
    values, at = bytearray(), 0
    while len(values) < rows * columns:
        count = segment[at]
        assert count != 128  # says nothing, and is not written
        run = segment[at + 1 : at + 2 + count] if count < 128 else segment[at + 1 : at + 2] * (257 - count)
        assert len(values) % columns + len(run) <= columns  # no run crosses rows
        values += run
        at += 2 + count if count < 128 else 2
    assert len(segment) == at + at % 2
    return bytes(values)


def decoded(stream: bytes, rows: int, columns: int) -> Frames:
    """A frame out of its header and segments (PS3.5 G.5)."""
    number, *offsets = struct.unpack("<16I", stream[:64])
    assert offsets[0] == 64
    assert not any(offsets[number:])
    ends = [*offsets[1:number], len(stream)]
    planes = [
        np.frombuffer(unpacked(stream[at:end], rows, columns), np.uint8)
        for at, end in zip(offsets[:number], ends, strict=True)
    ]
    values = np.stack(planes, axis=1).reshape(-1).view(f">u{number}")
    return np.asarray(values.reshape(rows, columns).astype(f"u{number}"))


@st.composite
def frames(draw: st.DrawFn) -> Frames:
    """Frames of 8 or 16 bits that are made of equal values in rows of any length, of noise between."""
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 300))
    bits = draw(st.sampled_from([8, 16]))
    top = 2**bits - 1
    pieces = draw(st.lists(st.tuples(st.integers(0, top), st.integers(1, 260)), min_size=1, max_size=40))
    values = np.concatenate([np.full(length, value, dtype=f"u{bits // 8}") for value, length in pieces])
    return np.resize(values, (rows, columns))


@given(frame=frames())
def test_a_frame_decodes_to_itself_and_every_rule_for_runs_is_kept(frame: Frames) -> None:
    stream = encode_rle(frame)

    assert len(stream) % 2 == 0
    np.testing.assert_array_equal(decoded(stream, *frame.shape), frame)


@pytest.mark.parametrize("length", [1, 2, 3, 127, 128, 129, 130, 131, 255, 256, 257, 384, 385])
@pytest.mark.parametrize("equal", [True, False])
def test_runs_around_the_longest_allowed_come_out_as_they_went_in(length: int, equal: bool) -> None:
    row = np.zeros(length, np.uint8) if equal else np.arange(length).astype(np.uint8)
    frame = np.stack([row, row])

    np.testing.assert_array_equal(decoded(encode_rle(frame), 2, length), frame)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("shape", [(64, 80), (65, 67), (301, 1023)])
def test_frames_of_all_sizes_come_out_as_they_went_in(shape: tuple[int, int], bits: int) -> None:
    """The largest is encoded a few rows at a time."""
    (frame,) = noisy_frames(1, *shape, bits)

    np.testing.assert_array_equal(decoded(encode_rle(frame), *shape), frame)


def test_noise_grows_by_one_byte_in_128_and_a_flat_frame_shrinks_to_two() -> None:
    noise = np.random.default_rng(3).permutation(np.arange(256 * 256) % 256).astype(np.uint8)
    flat = np.full((256, 256), 9, np.uint8)

    # Annex G.3: a literal run of 128 takes 129 bytes; runs of three by chance break some off early.
    assert len(encode_rle(noise.reshape(256, 256))) < 64 + 65536 * 130 / 128
    assert len(encode_rle(flat)) == 64 + 65536 * 2 / 128


@pytest.mark.parametrize(
    ("segment", "fits"),
    [
        (b"\x81\0" * 40, True),  # 5,120 bytes
        (b"\x81\0" * 41, True),  # and a run more
        (b"\x81\0" * 42, False),
        (b"\x7f" + bytes(128), True),
        ((b"\x7f" + bytes(128)) * 42, False),
        (b"\x80" * 10_000, True),  # means nothing
        (b"\x7f", True),  # cut short: the decoder says so
    ],
)
def test_a_segment_of_more_bytes_than_a_frame_is_told_without_unpacking_it(
    segment: bytes, fits: bool
) -> None:
    stream = struct.pack("<16I", 1, 64, *[0] * 14) + segment

    with nullcontext() if fits else pytest.raises(ValueError, match="more than the 5120 bytes"):
        check_segments(stream, 5120)


def test_every_segment_is_looked_at_and_offsets_that_lie_do_no_harm() -> None:
    run = b"\x81\0" * 50
    two = struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" + run
    with pytest.raises(ValueError, match="more than"):
        check_segments(two, 5120)
    check_segments(struct.pack("<16I", 2, 2**32 - 1, 5, *[0] * 13) + run, 5120)
    check_segments(b"\xff" * 64 + run, 2**20)
    check_segments(b"", 5120)
