"""What is said of a roadmap in words: never that it is current, never a number that is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from casgan_dicom.derived.provenance import derivation_text, series_description
from casgan_dicom.derived.views import view_words
from casgan_dicom.pixels.banner import NO_ROADMAP, banner_for, own_vessels
from tests.support.derived import PROVENANCE
from tests.support.factories import xa_dataset
from tests.support.roadmap_objects import DRAWN, REFUSED, record


def test_a_frame_says_whose_vessels_when_which_frame_and_how_far() -> None:
    assert DRAWN.clause("10:42") == (
        "patient's own vessels of 10:42, frame 2, moved 1.2 mm (table) + 0.6 mm (estimated); phase by ECG; "
        "not the current filling; stenoses, stents and flow are those of 10:42"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"table_mm": None, "moved_mm": None}, "moved 4.0 px (table) + 2.0 px (estimated)"),
        ({"table_px": None, "table_mm": None}, "moved an unknown way (table) + 0.6 mm (estimated)"),
        ({"phase_by": "images"}, "phase estimated;"),
    ],
)
def test_what_is_unknown_is_said_so(change: dict[str, object], told: str) -> None:
    assert told in replace(DRAWN, **change).clause("10:42")  # type: ignore[arg-type]


def test_a_refused_frame_says_why_and_claims_nothing() -> None:
    assert REFUSED.clause("10:42") == (
        "NO ROADMAP: no filled reference frame is near enough; the frame is the untouched input"
    )


def test_the_run_says_how_far_at_most_and_how_many_frames_have_none() -> None:
    farther = replace(DRAWN, moved_px=9.0, moved_mm=2.8)

    text = record(DRAWN, farther, REFUSED).clause()

    assert "filled in frames 2-6; phase by ECG" in text
    assert "moved at most 1.2 mm (table) + at most 2.8 mm (estimated); 1 of 3 frames without roadmap" in text
    assert "moved" not in record(REFUSED).clause()


@pytest.mark.parametrize("clock", ["10:42", ""])
@pytest.mark.parametrize("angles", [(-32, 2), (-120, -35), (0, 0)])
def test_the_title_begins_with_the_warning_and_keeps_to_its_length(
    clock: str, angles: tuple[int, int]
) -> None:
    made = replace(PROVENANCE, roadmap=record(DRAWN, clock=clock))
    header = xa_dataset(PositionerPrimaryAngle=angles[0], PositionerSecondaryAngle=angles[1])

    for kind in ("angiogram", "maps", "segmentation", "quality record"):
        title = series_description(header, made.title(kind))
        assert title.startswith("AI SYNTHETIC ")
        assert title.endswith("- not for diagnosis")
        assert len(title) <= 64
        assert "own vessels" in title or "roadmap" in title
    if clock:
        assert view_words(*angles) in series_description(header, made.title("angiogram"))


def test_the_derivation_never_calls_the_vessels_invented() -> None:
    made = replace(PROVENANCE, roadmap=record(DRAWN, REFUSED))

    whole = derivation_text(made, "Roadmap")
    frames = [derivation_text(made, "Roadmap", frame=k) for k in (0, 1)]

    assert all("invented" not in text and text.isascii() for text in (whole, *frames))
    assert "banner burned into every frame" in whole
    assert "frame 2, moved" in frames[0]
    assert frames[1].startswith("Roadmap: NO ROADMAP: ")


@pytest.mark.parametrize("shape", [(64, 64), (64, 80), (256, 256), (512, 512), (1024, 768)])
@pytest.mark.parametrize("texts", [own_vessels("10:42"), own_vessels(""), NO_ROADMAP])
def test_every_frame_that_may_be_converted_has_room_for_the_words(
    shape: tuple[int, int], texts: tuple[str, ...]
) -> None:
    banner = banner_for(*shape, texts)

    assert banner.text in texts
    if min(shape) >= 256:
        assert banner.text == texts[0]


def test_the_words_of_the_banner_are_those_that_were_asked_for() -> None:
    assert own_vessels("10:42")[0] == "OWN VESSELS OF 10:42, MOVED - NOT CURRENT"
    assert own_vessels("")[0] == "OWN VESSELS, TIME UNKNOWN - NOT CURRENT"
    assert NO_ROADMAP == ("NO ROADMAP",)


def test_other_options_are_other_uids() -> None:
    roadmap = record(DRAWN)
    other = replace(roadmap, instances=("1.2.3",))

    forms = {
        made.form
        for made in (
            PROVENANCE,
            replace(PROVENANCE, roadmap=roadmap),
            replace(PROVENANCE, roadmap=other),
            replace(PROVENANCE, roadmap=roadmap, omits_refused=True),
        )
    }

    assert len(forms) == 4
