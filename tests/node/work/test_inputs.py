"""What there is to convert: all of it, any of it new, and is it a part?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.node.state.job_inputs import Corrected, Inputs, Made
from casgan_dicom.node.work.inputs import (
    gone,
    nothing_new,
    part_of_promised,
    same_content,
    without_repeats,
)
from tests.support.factories import moving_frames, uid, write_xa

MADE = Made("1.2.840.10008.5.1.4.1.1.7.2", uid("derived"), uid("derived series"), (uid("instance"),))


def _changed(path: Path, change: Dataset) -> Path:
    """A copy of a file with some elements added or replaced."""
    ds = dcmread(path)
    ds.update(change)
    other = path.with_name(f"{path.name}-changed")
    ds.save_as(other)
    return other


def _elements(**words: object) -> Dataset:
    ds = Dataset()
    for word, value in words.items():
        setattr(ds, word, value)
    return ds


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_another_lossless_encoding_is_the_same_content(tmp_path: Path, syntax: UID, bits: int) -> None:
    frames = moving_frames(3, bits=bits)
    first, second = write_xa(tmp_path / "a", frames), write_xa(tmp_path / "b", frames, syntax=syntax)

    assert same_content(first, second)
    assert same_content(second, first)


def test_other_pixels_in_another_encoding_are_not_the_same(tmp_path: Path) -> None:
    frames = moving_frames(3)
    first = write_xa(tmp_path / "a", frames)
    changed = frames.copy()
    changed[2, 5, 5] ^= 1

    assert not same_content(first, write_xa(tmp_path / "b", changed, syntax=RLELossless))
    assert not same_content(first, write_xa(tmp_path / "c", changed))
    assert not same_content(first, write_xa(tmp_path / "d", frames, syntax=JPEGBaseline8Bit))


@pytest.mark.parametrize(
    "change",
    [
        _elements(RetrieveAETitle="ROUTER"),
        _elements(InstanceAvailability="ONLINE", RetrieveURL="http://router/1"),
        _elements(StorageMediaFileSetUID="1.2.3", NumberOfSeriesRelatedInstances=12),
        _elements(SpecificCharacterSet="ISO_IR 192"),
        _elements(AvailableTransferSyntaxUID=str(ImplicitVRLittleEndian), QueryRetrieveView="CLASSIC"),
        _elements(ContributingEquipmentSequence=[_elements(Manufacturer="Router")]),
        _elements(OriginalAttributesSequence=[_elements(ReasonForTheAttributeModification="COERCE")]),
        _elements(MACParametersSequence=[_elements(MACIDNumber=1)]),
        _elements(DataSetTrailingPadding=bytes(10)),
    ],
)
def test_what_routers_and_archives_add_is_no_other_content(tmp_path: Path, change: Dataset) -> None:
    first = write_xa(tmp_path / "a")

    assert same_content(first, _changed(first, change))


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Test^Anna^^", True),
        ("Test^Anna=", True),
        ("Test^Anna^=^", True),
        ("Test^Anna^B", False),
        ("Test", False),
    ],
)
def test_empty_components_of_a_name_are_no_other_name(tmp_path: Path, name: str, same: bool) -> None:
    first = write_xa(tmp_path / "a", PatientName="Test^Anna")

    assert same_content(first, _changed(first, _elements(PatientName=name))) is same


def test_private_elements_are_no_other_content(tmp_path: Path) -> None:
    change = Dataset()
    change.private_block(0x0099, "ROUTER", create=True).add_new(1, "LO", "routed")
    first = write_xa(tmp_path / "a")

    assert same_content(first, _changed(first, change))


@pytest.mark.parametrize(
    "change",
    [
        _elements(PatientName="Corrected^Name"),
        _elements(PatientID="TEST-2"),
        _elements(FrameTime=40),
        _elements(WindowCenter=100, WindowWidth=50),
    ],
)
def test_a_correction_is_another_content(tmp_path: Path, change: Dataset) -> None:
    first = write_xa(tmp_path / "a")

    assert not same_content(first, _changed(first, change))


def test_a_file_that_is_gone_is_not_the_same(tmp_path: Path) -> None:
    first = write_xa(tmp_path / "a")

    assert not same_content(first, tmp_path / "b")


def _inputs(*paths: Path, **more: object) -> Inputs:
    return Inputs(uid("series"), paths, 2, "", **more)  # type: ignore[arg-type]


def _again(before: Path, now: Path) -> Corrected:
    return Corrected(uid(before.name), before, now)


def test_only_what_is_new_is_converted(tmp_path: Path) -> None:
    a, b = write_xa(tmp_path / "a"), write_xa(tmp_path / "b")
    a_again = write_xa(tmp_path / "a-again", syntax=RLELossless)
    b_other = _changed(b, _elements(PatientName="Corrected^Name"))
    new = write_xa(tmp_path / "new")
    made = tuple(replace(MADE, sources=(uid(name),)) for name in "ab")

    def left(own: tuple[Path, ...], *corrected: Corrected, made: tuple[Made, ...] = made) -> tuple[Path, ...]:
        inputs = _inputs(*own, own=own, corrected=corrected, superseded=made)
        return without_repeats(inputs).paths

    assert left((a_again,), _again(a, a_again)) == ()
    assert left((a_again, new), _again(a, a_again)) == (new,)
    assert left((a_again, b_other), _again(a, a_again), _again(b, b_other)) == (b_other,)
    assert left((a_again,), _again(a, a_again), made=()) == (a_again,)  # nothing was made of it before
    assert left((new,)) == (new,)


def test_single_frames_are_converted_all_or_none(tmp_path: Path) -> None:
    a, b = write_xa(tmp_path / "a"), write_xa(tmp_path / "b")
    a_again = write_xa(tmp_path / "a-again", syntax=RLELossless)
    late = write_xa(tmp_path / "late")
    made = (replace(MADE, sources=(uid("a"), uid("b"))),)

    def left(*own: Path) -> tuple[Path, ...]:
        paths = (a_again, b, *own[1:])
        inputs = _inputs(
            *paths, own=own, corrected=(_again(a, a_again),), superseded=made, stills=frozenset(paths)
        )
        return without_repeats(inputs).paths

    assert left(a_again) == ()
    assert left(a_again, late) == (a_again, b, late)


def test_job_of_which_nothing_is_left_is_done() -> None:
    found = nothing_new(_inputs())

    assert found is not None
    assert found["state"] == "done"
    assert nothing_new(_inputs(Path("a"))) is None


def test_job_whose_files_are_gone_says_how_many(tmp_path: Path) -> None:
    there = write_xa(tmp_path / "a")

    found = gone(_inputs(there, tmp_path / "b", tmp_path / "c"))

    assert found is not None
    assert found["state"] == "lacking"
    assert found["reasons"] == ["2 of 3 files are gone from the spool: send the series again"]
    assert gone(_inputs(there)) is None


@pytest.mark.parametrize(
    ("there", "promised", "said"),
    [
        (4, 8, "part of a series: 4 of 8 promised instances came"),
        (8, 8, ""),
        (9, 8, ""),
        (4, None, ""),
    ],
)
def test_a_part_says_that_it_is_one(there: int, promised: int | None, said: str) -> None:
    assert part_of_promised(_inputs(there=there, promised=promised)) == said


def test_what_was_removed_is_not_the_same_as_what_came(tmp_path: Path) -> None:
    """Nobody can tell any more: it is converted again, as a correction."""
    there = write_xa(tmp_path / "b", moving_frames(3))
    corrected = Corrected(uid("instance"), tmp_path / "removed", there)
    inputs = Inputs("1.2", (there,), 2, "1.3", (MADE,), (corrected,), (there,))

    assert not same_content(corrected.before, there)
    assert without_repeats(inputs) == inputs
