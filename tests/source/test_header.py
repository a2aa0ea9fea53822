"""What of a header is read, and what is left out and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.pixels.display import Display
from casgan_dicom.source.header import Head, read_head
from casgan_dicom.source.series import find_series
from tests.source.test_shutters import add_bitmap
from tests.support.factories import moving_frames, write_xa, write_xa_single_frames


def with_overlay(path: Path, *groups: int, position: int = 0) -> Path:
    """Add an overlay of each group to a file."""
    ds = dcmread(path)
    for group in groups:
        ds.add_new(Tag(group, 0x0010), "US", ds.Rows)
        ds.add_new(Tag(group, 0x0011), "US", ds.Columns)
        ds.add_new(Tag(group, 0x0102), "US", position)
        if not position:
            ds.add_new(Tag(group, 0x3000), "OW", bytes(ds.Rows * ds.Columns // 8))
    ds.save_as(path)
    return path


def head_of(path: Path) -> Head:
    head = read_head(path)
    assert isinstance(head, Head)
    return head


def test_overlays_are_left_out_and_said(tmp_path: Path) -> None:
    head = head_of(with_overlay(write_xa(tmp_path / "run"), 0x6000, 0x6002))

    assert head.notes == ("2 overlays not drawn (group 6000, 6002)",)
    assert not any(tag.group >= 0x6000 for tag in head.ds.keys())  # noqa: SIM118


def test_an_overlay_in_the_bits_above_bits_stored_is_said_and_not_seen(tmp_path: Path) -> None:
    run = moving_frames(2, bits=12)
    clean = write_xa(tmp_path / "clean", run, BitsStored=12)
    dirty = with_overlay(write_xa(tmp_path / "dirty", run | 0x8000, BitsStored=12), 0x6000, position=15)

    cines = [find_series([path]).cines[0] for path in (clean, dirty)]

    assert cines[1].notes == (
        "1 overlays not drawn (group 6000, in part in the bits above BitsStored (0028,0101))",
    )
    np.testing.assert_array_equal(
        Display.of(cines[0]).apply(0, run[0]), Display.of(cines[1]).apply(0, run[0] | 0x8000)
    )


def test_the_overlay_of_a_bitmap_shutter_stays(tmp_path: Path) -> None:
    path = with_overlay(write_xa(tmp_path / "run"), 0x6004)
    ds = dcmread(path)
    bits = np.zeros((64, 80), dtype=np.uint8)
    bits[:, :20] = 1
    add_bitmap(ds, bits, group=0x6002)
    ds.save_as(path)

    (cine,) = find_series([path]).cines

    assert cine.notes == ("1 overlays not drawn (group 6004)",)
    np.testing.assert_array_equal(Display.of(cine).visible(2), bits == 0)


def test_an_overlay_of_every_frame_of_a_run_is_said_once(tmp_path: Path) -> None:
    for path in write_xa_single_frames(tmp_path, moving_frames(4)):
        with_overlay(path, 0x6000)

    (cine,) = find_series([tmp_path]).cines

    assert cine.notes == ("1 overlays not drawn (group 6000)",)


def test_frames_with_bitmaps_of_their_own_are_no_run(tmp_path: Path) -> None:
    for k, path in enumerate(write_xa_single_frames(tmp_path, moving_frames(4))):
        ds = dcmread(path)
        bits = np.zeros((64, 80), dtype=np.uint8)
        bits[:, : 10 if k < 2 else 30] = 1
        add_bitmap(ds, bits)
        ds.save_as(path)

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [2, 2]


def test_curves_and_an_icon_are_left_out(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run")
    ds = dcmread(path)
    ds.add_new(Tag(0x5000, 0x0005), "US", 1)
    icon = Dataset()
    icon.Rows = 64
    ds.IconImageSequence = [icon]
    ds.save_as(path)

    head = head_of(path)

    assert head.notes == ("1 curves not drawn (group 5000)",)
    assert "IconImageSequence" not in head.ds
