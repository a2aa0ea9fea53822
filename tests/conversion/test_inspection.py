"""What `inspect` says is what `convert` does; and it says nothing of the patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedXAImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from casgan_dicom.conversion.inspection import InspectedCine, Inspection, inspect
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.plan import plan_conversion
from casgan_dicom.pixels import decode
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.source.eligible import MAX_BYTES
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, uid, write_header, write_xa, write_xa_single_frames


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def only(inspection: Inspection) -> InspectedCine:
    (cine,) = inspection.cines
    return cine


SOURCES: dict[str, dict[str, Any]] = {
    "run": {},
    "contrast": {"ContrastBolusAgent": "Iohexol"},
    "a DSA run": {"RecommendedViewingMode": "SUB"},
    "a mask operation": {"MaskSubtractionSequence": [item(MaskOperation="AVG_SUB")]},
    "a secondary capture": {"SOPClassUID": SecondaryCaptureImageStorage},
    "contrast in a secondary capture": {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "ContrastBolusAgent": "Iohexol",
    },
    "CT": {"Modality": "CT", "ContrastBolusAgent": "Iohexol"},
    "no modality": {"Modality": None},
    "no frame time": {"FrameTime": 0.01},
    "a picture of a picture": {"SyntheticData": "YES", "ImageType": ["DERIVED", "SECONDARY"]},
    "no bits": {"BitsStored": None, "BitsAllocated": None},
    "MONOCHROME1": {"PhotometricInterpretation": "MONOCHROME1"},
    "colour": {"PhotometricInterpretation": "RGB"},
    "a leg": {"BodyPartExamined": "LEG"},
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("force", [False, True])
def test_the_verdict_is_what_convert_plans(tmp_path: Path, name: str, force: bool) -> None:
    path = write_xa(tmp_path / "in" / "xa", None, **SOURCES[name])

    cine = only(inspect([path]))
    plan = plan_conversion([path], ConvertOptions(force=force), tmp_path / "out")

    assert (cine.converted or (force and cine.forceable)) == bool(plan.cines)
    if plan.skipped:
        assert tuple(reason.text for reason in cine.reasons) == plan.skipped[0].reasons
        assert cine.forceable == plan.skipped[0].forceable
        assert (cine.output is None) == (not cine.forceable)


def test_reasons_of_a_whole_series_are_told_too(tmp_path: Path) -> None:
    for k in range(2):
        write_xa(tmp_path / str(k), None, SOPInstanceUID=uid(f"{k}"), PatientID=f"TEST-{k}")

    found = inspect([tmp_path])

    assert [cine.forceable for cine in found.cines] == [False, False]
    assert all("PatientID (0010,0020)" in cine.reasons[0].text for cine in found.cines)


@pytest.mark.parametrize(
    ("syntax", "decoder"),
    [
        (ImplicitVRLittleEndian, "numpy, frame by frame"),
        (ExplicitVRLittleEndian, "numpy, frame by frame"),
        (ExplicitVRBigEndian, "numpy, frame by frame"),
        (DeflatedExplicitVRLittleEndian, "zlib, into a temporary file, then numpy"),
        (RLELossless, "pydicom, frame by frame"),
        (JPEGBaseline8Bit, "GDCM, in a process of its own"),
        (JPEGLSLossless, "CharLS (pyjpegls)"),
        (JPEG2000Lossless, "OpenJPEG (pylibjpeg)"),
    ],
)
def test_the_decoder_is_named_and_the_frames_decode(tmp_path: Path, syntax: UID, decoder: str) -> None:
    path = write_xa(tmp_path / "xa", syntax=syntax)

    cine = only(inspect([path]))

    assert cine.stored.transfer_syntaxes == (syntax.name,)
    assert cine.stored.decoders == (decoder,)
    assert len(list(decode.iter_frames(find_series([path]).cines[0]))) == 4


def test_every_decoder_has_its_way() -> None:
    for syntax in SYNTAXES.values():
        if syntax.decoder.way in ("native", "pydicom"):
            assert syntax.uid == get_decoder(syntax.uid).UID
        assert (syntax.decoder.way == "process") == bool(syntax.decoder.library)


def test_a_film_is_not_decoded_and_no_force_helps(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "xa", syntax=JPEGBaseline8Bit)
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = MPEG2MPML
    ds.save_as(path)

    cine = only(inspect([path]))

    assert cine.stored.decoders == ("",)
    assert [reason.text for reason in cine.reasons] == [
        f"TransferSyntaxUID (0002,0010) is '{MPEG2MPML.name}', which nothing here decodes"
    ]
    assert (cine.converted, cine.forceable, cine.output) == (False, False, None)


def test_how_frames_lie_in_the_file_is_told(tmp_path: Path) -> None:
    path = write_xa(
        tmp_path / "xa",
        moving_frames(6, 96, 128, bits=12),
        BitsStored=12,
        PixelIntensityRelationship="LOG",
        WindowCenter=1800,
        WindowWidth=2000,
        PositionerSecondaryAngle=25,
    )

    cine = only(inspect([path]))

    stored = cine.stored
    assert (stored.sop_class, stored.modality) == ("X-Ray Angiographic Image Storage", "XA")
    assert (stored.frames, stored.rows, stored.columns) == (6, 96, 128)
    assert (stored.bits_allocated, stored.bits_stored, stored.photometric) == (16, 12, "MONOCHROME2")
    assert stored.intensity == "LOG"
    assert cine.shown.display == "12 bit unsigned MONOCHROME2; intensity LOG; window 1800/2000 LINEAR"
    assert cine.shown.view == "RAO30 CRA25"
    assert cine.output is not None
    assert cine.output.pixel_bytes == 6 * 96 * 128
    assert cine.output.bits == (8, 12, 16)


def test_a_source_of_bytes_has_no_more_bits_to_offer(tmp_path: Path) -> None:
    output = only(inspect([write_xa(tmp_path / "xa", moving_frames(3, 65, 81))])).output

    assert output is not None
    assert (output.bits, output.pixel_bytes) == ((8,), 3 * 65 * 81 + 1)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless])
def test_a_file_that_is_cut_short_would_not_be_converted(tmp_path: Path, syntax: UID) -> None:
    """What the conversion would refuse for its size, inspection and dry run refuse."""
    path = write_xa(tmp_path / "xa", syntax=syntax)
    path.write_bytes(path.read_bytes()[:-100])

    cine = only(inspect([path]))
    plan = plan_conversion([path], ConvertOptions(), tmp_path / "out")

    assert (cine.converted, cine.forceable) == (False, False)
    assert "PixelData (7FE0,0010) is cut short" in str(cine.reasons[0])
    assert (len(plan.cines), len(plan.skipped)) == (0, 1)


def test_words_are_not_offered_where_they_would_not_fit(tmp_path: Path) -> None:
    frames = MAX_BYTES // (4096 * 4096) - 1
    path = write_xa(
        tmp_path / "xa", moving_frames(2, bits=16), Rows=4096, Columns=4096, NumberOfFrames=frames
    )
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = RLELossless  # of no known size before it is decoded
    ds.PixelData = encapsulate([bytes(64)] * frames)
    ds.save_as(path)

    cine = only(inspect([path]))

    assert cine.output is not None
    assert cine.output.bits == (8,)


@pytest.mark.parametrize(
    ("header", "source", "irregular", "step"),
    [
        ({"FrameTime": 40}, "FrameTime (0018,1063)", False, 40),
        (
            {
                "FrameTime": None,
                "FrameTimeVector": [0, 40, 90, 50],
                "FrameIncrementPointer": Tag("FrameTimeVector"),
            },
            "FrameTimeVector (0018,1065)",
            True,
            50,
        ),
        ({"FrameTime": None, "CineRate": 25}, "CineRate (0018,0040)", False, 40),
        ({"FrameTime": None}, "default", False, 1000 / 15),
    ],
)
def test_timing_is_told_with_its_source(
    tmp_path: Path, header: dict[str, Any], source: str, irregular: bool, step: float
) -> None:
    shown = only(inspect([write_xa(tmp_path / "xa", None, **header)])).shown

    assert (shown.timing_source, shown.irregular) == (source, irregular)
    assert shown.frame_time_ms == pytest.approx(step)


def test_shutters_are_told_with_what_they_leave(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "xa", ShutterShape="RECTANGULAR", ShutterRightVerticalEdge=40)

    shown = only(inspect([path])).shown

    assert shown.shutters == ("RECTANGULAR",)
    assert shown.visible_share == pytest.approx(0.5)


def test_marks_of_contrast_and_subtraction_are_told_without_their_words(tmp_path: Path) -> None:
    path = write_xa(
        tmp_path / "xa",
        ContrastBolusAgent="Iohexol for Mr. Smith",
        MaskSubtractionSequence=[item(MaskOperation="NONE")],
        RecommendedViewingMode="NAT",
    )

    shown = only(inspect([path])).shown

    assert shown.marks == (
        "ContrastBolusAgent (0018,0010) is not empty",
        "MaskOperation (0028,6101) is NONE",
        "RecommendedViewingMode (0028,1090) is NAT",
    )


@pytest.mark.parametrize(
    ("header", "element"),
    [
        ({"ContrastBolusAgent": "Iohexol"}, "ContrastBolusAgent (0018,0010)"),
        ({"ContrastBolusAgentSequence": [item(CodeValue="1")]}, "ContrastBolusAgentSequence (0018,0012)"),
        ({"ContrastBolusAgentSequence": [item()]}, "ContrastBolusAgentSequence (0018,0012)"),
    ],
    ids=["agent", "coded agent", "agent without a code"],
)
def test_what_speaks_of_contrast_is_both_reason_and_mark(
    tmp_path: Path, header: dict[str, object], element: str
) -> None:
    cine = only(inspect([write_xa(tmp_path / "xa", None, **header)]))

    assert [reason.text for reason in cine.reasons] == [
        f"{element} is not empty, need a run without contrast"
    ]
    assert cine.shown.marks == (f"{element} is not empty",)


def test_overlays_that_are_not_drawn_are_told(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "xa")
    ds = dcmread(path)
    for group in (0x6000, 0x6002):
        ds.add_new((group, 0x0010), "US", 64)
        ds.add_new((group, 0x0011), "US", 80)
    ds.save_as(path)

    assert "2 overlays not drawn (group 6000, 6002)" in only(inspect([path])).warnings


def test_loss_is_measured_or_as_declared(tmp_path: Path) -> None:
    measured = write_xa(tmp_path / "a", syntax=JPEGBaseline8Bit)
    declared = write_xa(
        tmp_path / "b",
        LossyImageCompression="01",
        LossyImageCompressionMethod="ISO_15444_1",
        LossyImageCompressionRatio=12,
    )
    unknown = write_xa(tmp_path / "c", LossyImageCompression="01")

    said = [only(inspect([path])).shown.lossy for path in (measured, declared, unknown)]

    history = lossy_history(find_series([measured]).cines[0])
    assert said == [f"ISO_10918_1 {history.ratios[0]:g}", "ISO_15444_1 12", "of unknown kind"]


def test_single_frames_are_one_cine_and_strays_say_why(tmp_path: Path) -> None:
    write_xa_single_frames(tmp_path / "run", moving_frames(5))
    write_xa(
        tmp_path / "stray",
        moving_frames(1, 96, 96),
        SOPInstanceUID=uid("stray"),
        NumberOfFrames=None,
    )

    stray, run = sorted(inspect([tmp_path]).cines, key=lambda cine: len(cine.instances))

    assert (len(run.instances), run.stored.frames) == (5, 5)
    assert "the others differ in" in " ".join(stray.warnings)


def test_a_stream_cut_short_is_a_reason_where_it_has_to_be_measured(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "xa", syntax=JPEGBaseline8Bit)
    path.write_bytes(path.read_bytes()[:-500])

    cine = only(inspect([path]))

    assert "is cut short" in cine.reasons[0].text
    assert (cine.forceable, cine.output) == (False, None)


def test_damaged_and_foreign_files_are_counted_without_their_names(tmp_path: Path) -> None:
    write_xa(tmp_path / "xa")
    (tmp_path / "Smith^John.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)
    (tmp_path / "Smith^John.txt").write_text("nothing")

    found = inspect([tmp_path])

    assert sum(found.damaged.values()) == 1
    assert found.passed_over == {"no DICOM file": 1}
    assert found.exit_code == 4
    assert "Smith" not in json.dumps(found.as_json())


@pytest.mark.parametrize(
    ("names", "code"),
    [("run", 0), ("CT", 3), ("contrast", 3), ("run, a leg", 0), ("run, contrast", 4)],
)
def test_exit_code_tells_whether_all_some_or_none_would_be_converted(
    tmp_path: Path, names: str, code: int
) -> None:
    for name in names.split(", "):
        own = {"SOPInstanceUID": uid(name), "SeriesInstanceUID": uid(f"series of {name}")}
        write_xa(tmp_path / name, None, **(own | SOURCES[name]))

    assert inspect([tmp_path]).exit_code == code


def test_no_patient_data_is_said(tmp_path: Path) -> None:
    write_xa(
        tmp_path / "Secret^Name",
        PatientName="Secret^Name",
        PatientID="SECRET-7",
        StudyDescription="secret",
        SeriesDescription="secret",
        ImageComments="secret",
        ContrastBolusAgent="secret",
        OperatorsName="Secret",
        InstitutionName="Secret",
    )

    assert "secret" not in json.dumps(inspect([tmp_path]).as_json()).lower()


@pytest.mark.parametrize(
    "keyword",
    ["Modality", "PhotometricInterpretation", "PixelIntensityRelationship", "RecommendedViewingMode"],
)
def test_what_is_no_code_is_not_repeated_among_the_facts(tmp_path: Path, keyword: str) -> None:
    path = write_xa(tmp_path / "xa", None, **{keyword: "ABCDEFGHIJK"})
    content = path.read_bytes()
    assert content.count(b"ABCDEFGHIJK") == 1
    path.write_bytes(content.replace(b"ABCDEFGHIJK", b"secret name"))

    cine = only(inspect([path]))

    assert "secret" not in repr(cine.stored) + repr(cine.shown.marks)


def test_a_header_without_anything_is_inspected_all_the_same(tmp_path: Path) -> None:
    keep = ("SOPInstanceUID", "SeriesInstanceUID", "SOPClassUID")
    path = write_header(tmp_path / "bare")
    ds = dcmread(path)
    for element in list(ds):
        if element.keyword not in keep:
            del ds[element.tag]
    ds.save_as(path)

    cine = only(inspect([path]))

    assert len(cine.reasons) > 4
    assert not cine.forceable
    assert (cine.stored.rows, cine.stored.bits_stored, cine.shown.display) == (0, 0, "")


def test_an_enhanced_run_is_read_by_its_functional_groups(tmp_path: Path) -> None:
    window = item(WindowCenter=900, WindowWidth=700)
    path = write_xa(
        tmp_path / "xa",
        moving_frames(3, bits=12),
        BitsStored=12,
        SOPClassUID=EnhancedXAImageStorage,
        FrameTime=None,
        FrameIncrementPointer=None,
        SharedFunctionalGroupsSequence=Items([item(FrameVOILUTSequence=[window])]),
        PerFrameFunctionalGroupsSequence=Items(
            [
                item(ContrastBolusUsageSequence=[item(ContrastBolusAgentAdministered=word)])
                for word in ("NO", "YES", "YES")
            ]
        ),
    )

    cine = only(inspect([path]))

    assert cine.stored.sop_class == "Enhanced XA Image Storage"
    assert "window 900/700" in cine.shown.display
    assert cine.shown.marks == ("contrast by the time of 2 of 3 frames",)
    assert cine.forceable


def test_real_cine_would_be_converted_and_says_how(real_xa: Path) -> None:
    cine = only(inspect([real_xa / "XA_RCA_96f_jpegbaseline.dcm"]))

    assert cine.converted
    assert (cine.stored.frames, cine.stored.decoders) == (96, ("GDCM, in a process of its own",))
    assert cine.shown.timing_source == "FrameTime (0018,1063)"
    assert cine.shown.lossy.startswith("ISO_10918_1 ")
