"""What help texts say beside what the work goes by."""

from __future__ import annotations

from casgan_dicom.lab.options import CHESTS, STEPS
from casgan_dicom.model.data.engaged import EngagedSettings
from casgan_dicom.model.engagement.lesson import Lesson


def test_the_defaults_of_weights_engagement_are_those_of_the_lesson() -> None:
    assert (EngagedSettings().backgrounds, Lesson().steps) == (CHESTS, STEPS)
