"""What a rule asks for: the form of output, in its options and in words."""

from __future__ import annotations

from dataclasses import replace

from casgan_dicom.conversion.options import ConvertOptions, FrameChoice
from casgan_dicom.node.rules.rule import Rule, form_text
from casgan_dicom.node.settings import RuleSettings
from casgan_dicom.pixels.compress import Compression

PLAIN = RuleSettings("plain")
RICH = RuleSettings(
    "rich", bits=12, compression="j2k", frames="2-5", single_frame=True, maps=True, seg=True, sr=True
)


def test_a_rule_that_asks_for_no_form_gets_the_plain_one() -> None:
    assert Rule(PLAIN).form == ConvertOptions()
    assert form_text(Rule(PLAIN).form) == "mf-gray8"


def test_a_rule_gets_what_it_asks_for_and_always_the_banner() -> None:
    assert Rule(RICH).form == ConvertOptions(
        banner=True,
        bits=12,
        compression=Compression("j2k"),
        frames=FrameChoice("2-5"),
        single_frames=True,
        maps=True,
        seg=True,
        sr=True,
    )
    assert form_text(Rule(RICH).form) == "sf-gray12 j2k maps seg sr frames 2-5"


def test_loss_has_a_quality() -> None:
    assert Rule(replace(PLAIN, compression="jpeg90")).form.compression == Compression("jpeg", 90)
    assert form_text(Rule(replace(PLAIN, compression="jpeg90")).form) == "mf-gray8 jpeg90"


def test_only_conditions_on_pixels_need_them() -> None:
    assert not Rule(RICH).needs_pixels
    for needy in (
        replace(PLAIN, opacified="no"),
        replace(PLAIN, score_below=1),
        replace(PLAIN, score_from=0),
    ):
        assert Rule(needy).needs_pixels
