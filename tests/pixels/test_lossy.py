"""What headers say of loss, by whichever element; what streams say is tested with their decoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.plan import plan_conversion
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.verification.verify import verify
from tests.support.cines import cine_of
from tests.support.enhanced_factory import code
from tests.support.factories import write_xa
from tests.support.painter import DiscPainter

METHOD: dict[str, Any] = {"LossyImageCompressionMethod": "ISO_10918_1"}
RATIO: dict[str, Any] = {"LossyImageCompressionRatio": 10}
LOST: list[dict[str, Any]] = [
    {"LossyImageCompression": "01"},
    {"LossyImageCompressionRetired": "01"},
    {"LossyImageCompression": "00", "LossyImageCompressionRetired": "01"},
    METHOD,
    RATIO,
    {**METHOD, **RATIO},
    {"LossyImageCompression": "00", **METHOD, **RATIO},
    {"LossyImageCompression": "YES", **METHOD, **RATIO},
    {"DerivationCodeSequence": [code("113040", "DCM", "Lossy Compression")]},
]
KEPT: list[dict[str, Any]] = [
    {"LossyImageCompression": "00"},
    {"LossyImageCompression": "00", **RATIO},  # that of a compression without loss
    {"LossyImageCompressionRatio": 1},
    {"DerivationCodeSequence": [code("113076", "DCM", "Segmentation")]},
    {},
]


@pytest.mark.parametrize("said", LOST, ids="+".join)
def test_loss_is_known_by_whatever_element_says_it(tmp_path: Path, said: dict[str, Any]) -> None:
    assert lossy_history(cine_of(write_xa(tmp_path / "a", **said))).lossy


@pytest.mark.parametrize("said", KEPT, ids="+".join)
def test_what_nobody_calls_lost_is_not(tmp_path: Path, said: dict[str, Any]) -> None:
    assert not lossy_history(cine_of(write_xa(tmp_path / "a", **said))).lossy


@pytest.mark.parametrize("said", LOST, ids="+".join)
@pytest.mark.parametrize(
    "options",
    [ConvertOptions(seg=True, maps=True), ConvertOptions(single_frames=True)],
    ids=["cine", "frames"],
)
def test_loss_is_said_in_every_object(tmp_path: Path, said: dict[str, Any], options: ConvertOptions) -> None:
    path, out = write_xa(tmp_path / "a", **said), tmp_path / "out"

    planned = plan_conversion([path], options, out)
    report = convert_series([path], DiscPainter().as_generator, options, out)

    made: list[Dataset] = [dcmread(one.path) for output in report.outputs for one in output.objects]
    assert len(planned.cines) == len(report.outputs) == 1
    assert {ds.LossyImageCompression for ds in made} == {"01"}
    assert not any(verify(out, sources=path).values())
