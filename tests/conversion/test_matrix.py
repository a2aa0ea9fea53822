"""Sources of every kind that input.md promises, through the whole conversion.

The generator makes the negative of every frame, so the output is the negative of what is displayed, but the
input itself behind a shutter; what is displayed is worked out here by pydicom. The cases cover every pair of
two values of any two axes that go together, by a small greedy search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi, apply_windowing
from pydicom.tag import Tag
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.model.atlas.border import border_of
from casgan_dicom.model.generator import Synthesis
from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.verification.verify import verify_file
from tests.support.encoders import BY_DCMTK, BY_FRAME, by_frame, dcmtk, with_streams
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import Frames, moving_frames, write_xa, write_xa_single_frames
from tests.support.htj2k_streams import LOSSLESS_8, LOSSLESS_12, LOSSLESS_16
from tests.support.painter import DiscPainter

Case = Mapping[str, Any]
Float = npt.NDArray[np.float64]

ROWS, COLUMNS, FRAMES = 64, 80, 3
_HTJ2K = (HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
_ENHANCED = (EnhancedXAImageStorage, EnhancedXRFImageStorage)
_FLUOROSCOPY = (XRayRadiofluoroscopicImageStorage, EnhancedXRFImageStorage)
_CAPTURES = (
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
AXES: dict[str, tuple[Any, ...]] = {
    "sop_class": (XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage, *_ENHANCED, *_CAPTURES),
    "syntax": tuple(uid for uid, row in SYNTAXES.items() if not row.decoder.package),
    "bits": (8, 10, 12, 14, 16),
    "signed": (False, True),
    "photometric": ("MONOCHROME1", "MONOCHROME2"),
    "relationship": ("LIN", "LOG", "DISP", "DRM", None),
    "look": ("none", "window", "windows", "voi-lut", "modality-lut", "rescale"),
    "shutter": ("none", "rectangular", "circular", "polygonal"),
    "timing": ("frame-time", "vector", "cine-rate", "recommended", "none", "single-frames"),
}
"""What a source may be, by axis."""
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
"""Transfer syntaxes that the encoders here lose information in."""


class Negative(DiscPainter):
    """A generator that makes the negative of each frame, and knows no attention."""

    def __call__(self, frames: npt.NDArray[np.float32], levels: object = None) -> Synthesis:
        return Synthesis(1 - frames, None)


def goes_together(case: Case) -> bool:  # noqa: PLR0911  # one line for each thing that does not exist
    """Whether such a source exists and can be encoded here; asked of parts of a case, too."""
    syntax, bits, signed = case.get("syntax"), case.get("bits"), case.get("signed")
    if syntax == JPEGBaseline8Bit and bits not in (None, 8):
        return False
    if syntax == JPEGExtended12Bit and bits not in (None, 8, 12):
        return False
    if syntax in _HTJ2K and bits not in (None, 8, 12, 16):
        return False
    if syntax in _HTJ2K and case.get("timing") == "vector":
        return False  # it has a time for each of FRAMES, and there are fewer streams
    if signed and (syntax in (*_HTJ2K, *LOSSY) or bits == 8):
        return False
    sop, timing, look = case.get("sop_class"), case.get("timing"), case.get("look")
    if sop in _ENHANCED and timing not in (None, "frame-time"):
        return False  # the times of its frames are always there
    if sop in _ENHANCED and look in ("modality-lut", "rescale"):
        return False
    if sop == MultiFrameGrayscaleByteSecondaryCaptureImageStorage and bits not in (None, 8):
        return False
    if sop == MultiFrameGrayscaleWordSecondaryCaptureImageStorage and bits == 8:
        return False
    single = timing == "single-frames"
    if sop == SecondaryCaptureImageStorage and timing not in (None, "single-frames"):
        return False
    return not (single and (sop in _CAPTURES[1:] or syntax in (*_HTJ2K, JPEG2000)))


@cache
def cases() -> tuple[dict[str, Any], ...]:
    """Cases that hold every pair of values that goes together, the same on every run."""
    wanted = {pair for pair in _pairs() if goes_together({a: AXES[a][i] for a, i in pair})}
    made: list[dict[str, Any]] = []
    while wanted:
        case = _grown(dict(min(wanted)), wanted)
        covered = {pair for pair in wanted if all(case.get(a) == i for a, i in pair)}
        if not covered:
            wanted.remove(min(wanted))  # no whole case can hold it
            continue
        wanted -= covered
        made.append({axis: AXES[axis][i] for axis, i in case.items()})
    return tuple(made)


Pair = tuple[tuple[str, int], tuple[str, int]]


def _pairs() -> Iterator[Pair]:
    for a, b in combinations(sorted(AXES), 2):
        yield from (((a, i), (b, j)) for i in range(len(AXES[a])) for j in range(len(AXES[b])))


def _grown(case: dict[str, int], wanted: set[Pair]) -> dict[str, int]:
    """A case with a value on each axis, each the one that brings most of the pairs that are wanted."""
    for axis in sorted(AXES, key=lambda axis: -len(AXES[axis])):
        if axis in case:
            continue
        fits = [
            i
            for i in range(len(AXES[axis]))
            if goes_together({a: AXES[a][k] for a, k in case.items()} | {axis: AXES[axis][i]})
        ]
        if not fits:
            return {}
        case[axis] = max(fits, key=lambda i: sum(_pair(axis, i, a, k) in wanted for a, k in case.items()))
    return case


def _pair(a: str, i: int, b: str, j: int) -> Pair:
    first, second = sorted([(a, i), (b, j)])
    return first, second


def described(case: Case) -> str:
    """A short name of a case."""
    return "-".join(getattr(value, "keyword", str(value)) for value in case.values())


def header_of(case: Case) -> dict[str, object]:
    """What the header says beside pixels."""
    bits, low = case["bits"], -(2 ** (case["bits"] - 1)) if case["signed"] else 0
    top = 2**bits
    header: dict[str, object] = {
        "SOPClassUID": case["sop_class"],
        "BitsStored": bits,
        "PhotometricInterpretation": case["photometric"],
        "PixelIntensityRelationship": case["relationship"],
        "Modality": "RF" if case["sop_class"] in _FLUOROSCOPY else "XA",
    }
    looks: dict[str, dict[str, object]] = {
        "window": {"WindowCenter": low + top // 2, "WindowWidth": top // 2},
        "windows": {"WindowCenter": [low + top // 3, low + 9], "WindowWidth": [top // 2, 7]},
        "voi-lut": {"VOILUTSequence": [_lut(low, signed=case["signed"])]},
        "modality-lut": {"ModalityLUTSequence": [_lut(low, signed=case["signed"])]},
        "rescale": {"RescaleSlope": 2, "RescaleIntercept": -100},
    }
    return (
        header
        | looks.get(case["look"], {})
        | SHUTTERS.get(case["shutter"], {})
        | TIMINGS.get(case["timing"], {})
    )


def _lut(first: int, *, signed: bool) -> Dataset:
    """A LUT of 200 entries of 10 bits, a curve."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [200, first, 10])
    item.add_new("LUTData", "US", [round((k / 199) ** 2 * 1023) for k in range(200)])
    return item


_NO_TIME: dict[str, object] = {"FrameTime": None, "FrameIncrementPointer": None}
TIMINGS: dict[str, dict[str, object]] = {
    "frame-time": {"FrameTime": 66.667},
    "vector": {**_NO_TIME, "FrameTimeVector": [0, 33, 50], "FrameIncrementPointer": Tag("FrameTimeVector")},
    "cine-rate": {**_NO_TIME, "CineRate": 25},
    "recommended": {**_NO_TIME, "RecommendedDisplayFrameRate": 10},
    "none": _NO_TIME,
}
TIMES_MS: dict[str, list[float]] = {
    "frame-time": [66.667] * 2, "vector": [33, 50], "cine-rate": [40] * 2, "recommended": [100] * 2,
    "none": [1000 / 15] * 2, "single-frames": [100] * 2,
}  # fmt: skip
"""Milliseconds between the frames that the output has to tell."""
SHUTTERS: dict[str, dict[str, object]] = {
    "rectangular": {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 10,
        "ShutterRightVerticalEdge": 70,
        "ShutterUpperHorizontalEdge": 5,
        "ShutterLowerHorizontalEdge": 60,
    },
    "circular": {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": [32, 40],
        "RadiusOfCircularShutter": 20,
    },
    "polygonal": {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 40, 64, 1, 64, 80]},
}


def write_case(folder: Path, case: Case) -> list[Path]:
    """The files of a case, in the order of time."""
    bits = case["bits"]
    run = moving_frames(FRAMES, ROWS, COLUMNS, bits)
    if case["syntax"] in _HTJ2K:
        run = run[: len(_STREAMS[bits])]
    if case["signed"]:
        run = (run.astype(np.int32) - 2 ** (bits - 1)).astype(np.int16)
    header = header_of(case)
    if case["timing"] == "single-frames":
        times: dict[str, Any] = {key: value for key, value in header.items() if key not in _NO_TIME}
        raws = write_xa_single_frames(folder / "raw", run, **times)
    elif case["sop_class"] in _ENHANCED:
        raws = [write_enhanced_case(folder / "raw" / "a", run, header)]
    else:
        raws = [write_xa(folder / "raw" / "a", run, **header)]
    (folder / "in").mkdir()
    return [encode(raw, folder / "in" / f"{k}", case, run) for k, raw in enumerate(raws)]


def write_enhanced_case(path: Path, run: Frames, header: dict[str, object]) -> Path:
    """An Enhanced object that says in shared groups what a classic header says."""
    shutters = [keyword for shutter in SHUTTERS.values() for keyword in shutter]
    macros: dict[str, Any] = {
        "FrameVOILUTSequence": _part(header, ("WindowCenter", "WindowWidth", "VOILUTSequence")) or None,
        "FrameDisplayShutterSequence": _part(header, shutters) or None,
        "FramePixelDataPropertiesSequence": _part(header, ["PixelIntensityRelationship"]),
    }
    taken = [key for macro in macros.values() for key in macro or {}]
    rest: dict[str, Any] = {key: value for key, value in header.items() if key not in (*taken, *_NO_TIME)}
    return write_enhanced(path, run, shared=macros, **rest)


def _part(header: dict[str, object], keywords: Sequence[str]) -> dict[str, object]:
    return {key: header[key] for key in keywords if key in header}


_STREAMS = {8: LOSSLESS_8, 12: LOSSLESS_12, 16: LOSSLESS_16}
_DCMTK = {
    **BY_DCMTK,
    JPEGBaseline8Bit: ("dcmcjpeg", "+eb"),
    JPEGExtended12Bit: ("dcmcjpeg", "+ee"),
    JPEGLSNearLossless: ("dcmcjpls", "+en", "+md", "1"),
}


def encode(raw: Path, target: Path, case: Case, run: Frames) -> Path:
    """The same object in the transfer syntax of the case."""
    syntax = cast(UID, case["syntax"])
    if syntax in _DCMTK:
        dcmtk(*_DCMTK[syntax], raw, target)
    elif syntax in BY_FRAME:
        by_frame(raw, target, syntax)
    elif syntax in _HTJ2K:
        ds = dcmread(raw)
        pixels = dcmread(
            with_streams(raw.with_name("streams"), run, _STREAMS[case["bits"]], syntax, case["bits"])
        )
        ds["PixelData"], ds.file_meta.TransferSyntaxUID = pixels["PixelData"], syntax
        ds.save_as(target)
    else:
        ds = dcmread(raw)  # JPEG 2000; without loss, also in the transfer syntax that permits it
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(target)
    return target


def displayed(case: Case, run: Float, ds: Dataset) -> Float:
    """What pydicom displays of stored values, in [0, 1]; `ds` is the classic header of the case."""
    bits, signed = case["bits"], case["signed"]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if case["look"] == "voi-lut":
        shown = apply_voi(run.astype(np.int64), ds) / 1023.0
    else:
        slope, intercept = (
            (2, -100)
            if case["look"] == "rescale" and case["relationship"] in ("LIN", "DRM", None)
            else (1, 0)
        )
        run = run * slope + intercept
        low, high = low * slope + intercept, high * slope + intercept
        if case["look"] in ("window", "windows"):
            run = np.asarray(apply_windowing(run, ds), dtype=np.float64)
        shown = (run - low) / (high - low)
    return np.asarray(1 - shown if case["photometric"] == "MONOCHROME1" else shown)


def convert(folder: Path, out: Path) -> ConvertReport:
    options = ConvertOptions(banner=False, force=True)
    return convert_series([folder], Negative().as_generator, options, out)


@pytest.mark.parametrize("case", cases(), ids=described)
def test_every_kind_of_source_is_shown_as_pydicom_shows_it(tmp_path: Path, case: Case) -> None:
    paths = write_case(tmp_path, case)

    (output,) = convert(tmp_path / "in", tmp_path / "out").outputs

    ds = dcmread(output.path)
    frames = len(_STREAMS[case["bits"]]) if case["syntax"] in _HTJ2K else FRAMES
    shown = displayed(case, stored_values(case, paths, tmp_path)[:frames], oracle_header(case)) * 255
    visible = visible_between_shutters(case["shutter"])
    known = np.broadcast_to(~np.isnan(visible), shown.shape)
    tolerance = 4 if case["syntax"] in LOSSY else 0.5001
    blades, surely = (
        border_of((np.nan_to_num(shown + off) / 255).astype(np.float32)) for off in (0, tolerance)
    )
    known = known & (blades == surely)  # black enough for nothing to be drawn, or not: decoders may differ
    wanted = np.where((visible == 1) & ~blades, 255 - shown, shown)
    found = ds.pixel_array.astype(float).reshape(frames, ROWS, COLUMNS)
    # Half a level is a tie; two decoders of a lossy stream differ by a level, which a window makes steeper.
    np.testing.assert_allclose(found[known], wanted[known], atol=tolerance)
    times = TIMES_MS[case["timing"]] if case["sop_class"] not in _ENHANCED else [80.0] * 2
    np.testing.assert_allclose(times_between(ds), times[: frames - 1], atol=0.001)
    assert verify_file(output.path) == []
    assert len(output.source_instances) == len(paths)


def stored_values(case: Case, paths: list[Path], folder: Path) -> Float:
    """Stored values of the source, (frames, rows, columns)."""
    if case["syntax"] in (JPEGBaseline8Bit, JPEGExtended12Bit):  # DCMTK may shift what it encodes with loss
        return by_dcmtk(paths, folder)
    stored = moving_frames(FRAMES, ROWS, COLUMNS, case["bits"]).astype(np.float64)
    return np.asarray(stored - (2 ** (case["bits"] - 1) if case["signed"] else 0))


def times_between(ds: Dataset) -> Float:
    """Milliseconds from frame to frame that an object tells."""
    frames = int(ds.get("NumberOfFrames", 1))
    vector = ds.get("FrameTimeVector")
    steps = list(vector)[1:] if vector else [ds.FrameTime] * (frames - 1) if frames > 1 else []
    return np.array([float(step) for step in steps])


def visible_between_shutters(shutter: str) -> Float:
    """1 where a shutter leaves the picture visible, 0 where it covers it, NaN where it may be either."""
    row, column = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1].astype(np.float64)
    if shutter == "rectangular":
        return np.asarray((row >= 5) & (row <= 60) & (column >= 10) & (column <= 70), np.float64)
    if shutter == "circular":
        return np.asarray(np.hypot(row - 32, column - 40) <= 20, np.float64)
    if shutter == "polygonal":
        corners = [(1, 40), (64, 80), (64, 1)]
        sides = [
            ((c1 - c0) * (row - r0) - (r1 - r0) * (column - c0)) / np.hypot(r1 - r0, c1 - c0)
            for (r0, c0), (r1, c1) in zip(corners, [*corners[1:], corners[0]], strict=True)
        ]
        inside = np.min(sides, axis=0)  # distance from the nearest side, the inside positive
        return np.where(inside > 1, 1.0, np.where(inside < -1, 0.0, np.nan))
    return np.ones((ROWS, COLUMNS))


def by_dcmtk(paths: list[Path], folder: Path) -> Float:
    """Stored values of JPEG files as DCMTK decodes them."""
    frames = []
    for k, path in enumerate(paths):
        dcmtk("dcmdjpeg", path, folder / f"plain{k}")
        frames.append(dcmread(folder / f"plain{k}").pixel_array.astype(np.float64).reshape(-1, ROWS, COLUMNS))
    return np.concatenate(frames)


def oracle_header(case: Case) -> Dataset:
    """The header that pydicom's own functions read, without the LUT that is not for display."""
    ds = Dataset()
    for keyword, value in header_of(case).items():
        if value is not None and keyword != "ModalityLUTSequence":
            setattr(ds, keyword, value)
    ds.BitsAllocated = 8 if case["bits"] == 8 else 16
    ds.PixelRepresentation = int(case["signed"])
    return ds


def test_the_cases_hold_every_value_of_every_axis() -> None:
    for axis, values in AXES.items():
        assert {case[axis] for case in cases()} == set(values), axis
