"""What an Enhanced object says against its conversion: contrast, subtraction, another part of the body."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import reasons_against, warnings
from tests.support.cines import cine_of
from tests.support.enhanced_factory import Macros, code, write_enhanced


def read(path: Path, **options: object) -> Cine:
    return cine_of(write_enhanced(path / "run", **options))  # type: ignore[arg-type]


def contrast_from(first: int) -> dict[str, object]:
    """Per-frame groups of a run with contrast from this frame on."""

    def groups(k: int) -> Macros:
        given = "YES" if k >= first else "NO"
        return {
            "ContrastBolusUsageSequence": {
                "ContrastBolusAgentNumber": 1,
                "ContrastBolusAgentAdministered": given,
            }
        }

    agent = Dataset()
    agent.ContrastBolusAgentNumber = 1
    return {"per_frame": groups, "ContrastBolusAgentSequence": [agent]}


def test_frames_after_the_injection_are_a_reason_that_counts_them(tmp_path: Path) -> None:
    cine = read(tmp_path, **contrast_from(3))

    (reason,) = reasons_against(cine)

    assert cine.frame_contrast == (False, False, False, True)
    assert "(0018,9342)" in reason.text
    assert "YES in 1 of 4 frames" in reason.text
    assert reason.forceable


def test_a_run_before_the_injection_is_no_run_with_contrast(tmp_path: Path) -> None:
    assert reasons_against(read(tmp_path, **contrast_from(99))) == ()


def test_an_agent_without_usage_is_a_reason(tmp_path: Path) -> None:
    (reason,) = reasons_against(read(tmp_path, ContrastBolusAgentSequence=[Dataset()]))

    assert "(0018,0012)" in reason.text


@pytest.mark.parametrize("keyword", ["MaskSubtractionSequence", "FrameDisplaySequence", "properties"])
def test_a_dsa_run_is_recognised(tmp_path: Path, keyword: str) -> None:
    item = Dataset()
    item.MaskOperation, item.RecommendedViewingMode = "AVG_SUB", "SUB"
    properties = {"PixelIntensityRelationship": "LOG", "ImageProcessingApplied": ["EDGE", "DIGITAL_SUBTR"]}
    options: dict[str, object] = (
        {"shared": {"FramePixelDataPropertiesSequence": properties}}
        if keyword == "properties"
        else {keyword: [item]}
    )

    (reason,) = reasons_against(read(tmp_path, **options))

    assert reason.text.endswith("a DSA run")
    assert reason.forceable


@pytest.mark.parametrize(
    ("region", "body_part", "warned"),
    [
        (code("T-43000", "SRT", "Coronary artery"), "CORONARYARTERY", None),
        (code("69536005", "SCT", "Head"), "HEAD", "BodyPartExamined (0018,0015) is 'HEAD'"),
        (code("56459004", "SCT", "Foot"), None, "AnatomicRegionSequence (0008,2218) is (56459004, SCT)"),
        (code("Doe^John", "SCT", "Foot"), None, None),
    ],
)
def test_a_region_is_named_by_its_code(
    tmp_path: Path, region: Dataset, body_part: str | None, warned: str | None
) -> None:
    macro = {"AnatomicRegionSequence": [region], "FrameLaterality": "R"}

    cine = read(tmp_path, shared={"FrameAnatomySequence": macro})

    assert cine.header.get("BodyPartExamined") == body_part
    assert cine.header.ImageLaterality == "R"
    assert [text.split(":")[0] for text in warnings(cine)] == ([warned] if warned else [])


@pytest.mark.parametrize("items", [0, 4])
def test_a_run_of_no_frames_is_refused_for_that(tmp_path: Path, items: int) -> None:
    cine = read(tmp_path, NumberOfFrames=0, items=items)

    assert any("NumberOfFrames (0028,0008) is below 1" in reason.text for reason in reasons_against(cine))
