"""What a report says about contrast that is there already: as sure as it is, and no surer."""

from __future__ import annotations

from casgan_dicom.conversion.contrast_notes import contrast_of, notes_on_contrast
from casgan_dicom.conversion.contrast_odds import Reason
from casgan_dicom.conversion.opacification import Opacification
from casgan_dicom.conversion.options import FrameChoice

REASONS: tuple[Reason, ...] = ("quiet", "unsure", "rose")


def found(*probability: float) -> Opacification:
    reason = tuple(REASONS[(one >= 0.1) + (one >= 0.9)] for one in probability)
    return Opacification(tuple(one >= 0.5 for one in probability), probability, (0.01,) * 3, reason)


def said(choice: str, *probability: float) -> list[str]:
    return list(notes_on_contrast(FrameChoice(choice), (0, 1, 2), found(*probability)))


def test_a_run_without_contrast_needs_no_word() -> None:
    assert said("all", 0.03, 0.2, 0.4) == []


def test_sure_marks_are_said_as_a_fact() -> None:
    (note,) = said("all", 0.03, 0.95, 0.99)

    assert note == "2 of 3 frames already show opacified vessels, see --frames non-contrast"


def test_one_doubtful_mark_makes_it_a_may() -> None:
    (note,) = said("all", 0.97, 0.62, 0.99)

    assert note.startswith("3 of 3 frames may already show (probability from 0.62 up) opacified vessels")


def test_a_run_that_was_converted_in_doubt_says_so() -> None:
    (note,) = said("non-contrast", 0.7, 0.62, 0.8)

    assert "3 of 3 frames may already show" in note
    assert "converted all the same since that is not sure" in note


def test_every_frame_of_the_source_has_its_figures() -> None:
    told = contrast_of(found(0.03, 0.62, 0.99))

    assert [(one.frame, one.probability, one.cover, one.reason) for one in told] == [
        (1, 0.03, 0.01, "quiet"),
        (2, 0.62, 0.01, "unsure"),
        (3, 0.99, 0.01, "rose"),
    ]
