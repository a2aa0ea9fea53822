"""What the caller may decide, and which frames that gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.conversion.options import (
    ConvertOptions,
    FrameChoice,
    InjectionChoice,
    ViewChoice,
    numbers_text,
)
from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.pixels.compress import Compression

INJECTED = [False, False, True, True, False]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("all", (0, 1, 2, 3, 4)),
        ("non-contrast", (0, 1, 4)),
        ("2-4", (1, 2, 3)),
        ("5", (4,)),
        ("1-5", (0, 1, 2, 3, 4)),
    ],
)
def test_frames_are_chosen_by_number_or_by_contrast(text: str, chosen: tuple[int, ...]) -> None:
    assert FrameChoice(text).pick(INJECTED) == chosen


@pytest.mark.parametrize("text", ["", "some", "0-3", "4-2", "0", "-3", "1-", "1-2-3", "1,2", "1.5", " 1"])
def test_a_choice_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="frames are"):
        FrameChoice(text)


def test_a_number_is_no_choice_but_its_text_is() -> None:
    number: Any = 3
    with pytest.raises(ConfigError, match="frames are 3, need a text: '3'"):
        FrameChoice(number)
    assert FrameChoice("3").pick(INJECTED) == (2,)


@pytest.mark.parametrize("text", ["6", "2-6"])
def test_frames_that_the_cine_does_not_have_are_an_error_of_the_series(text: str) -> None:
    with pytest.raises(SeriesError, match="NumberOfFrames"):
        FrameChoice(text).pick(INJECTED)


def test_a_run_that_is_opacified_throughout_leaves_nothing_without_contrast() -> None:
    with pytest.raises(SeriesError, match="all 2 frames"):
        FrameChoice("non-contrast").pick([True, True])


def test_doubt_leaves_no_run_without_a_frame() -> None:
    choice = FrameChoice("non-contrast")

    assert choice.pick([True, True, True], [True, False, False]) == (1, 2)
    assert choice.pick([True, False, True], [False, False, True]) == (1,)
    with pytest.raises(SeriesError, match="all 2 frames show opacified vessels"):
        choice.pick([True, True], [True, True])


@given(st.lists(st.booleans(), min_size=1, max_size=60).filter(any))
def test_numbers_name_exactly_the_chosen_frames(taken: list[bool]) -> None:
    chosen = [k for k, yes in enumerate(taken) if yes]

    text = numbers_text(chosen)

    named: list[int] = []
    for part in text.split(","):
        a, _, b = part.partition("-")
        named += range(int(a), int(b or a) + 1)
    assert named == [k + 1 for k in chosen]


def test_lossy_compression_of_more_than_eight_bits_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="jpeg"):
        ConvertOptions(bits=12, compression=Compression("jpeg", 90))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bits": 10}, "bits is 10, want 8, 12 or 16"),
        ({"bits": 8.0}, "bits is 8.0, want 8, 12 or 16"),
        ({"artery": "both"}, "artery is 'both', want auto, left or right"),
        ({"view": "RAO30"}, "view is 'RAO30', want ViewChoice('RAO30')"),
        ({"injection": "0.5"}, "injection is '0.5', want InjectionChoice('0.5')"),
        ({"frames": 3}, "frames is 3, want FrameChoice('3')"),
        ({"frames": None}, "frames is None, want FrameChoice"),
        ({"frames": "1-3", "compression": "rle"}, "frames is '1-3', want FrameChoice('1-3'); compression is"),
    ],
)
def test_options_of_another_kind_are_refused_when_they_are_made(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ConvertOptions(**wrong)
    assert caught.value.message.startswith(told)


@pytest.mark.parametrize(
    ("text", "angles"),
    [
        ("auto", None),
        ("LAO30 CRA20", (30, 20)),
        ("rao30cau20", (-30, -20)),
        ("RAO 30", (-30, 0)),
        ("AP", (0, 0)),
        ("AP CAU30", (0, -30)),
        ("CRANIAL 25", (0, 25)),
        ("LAO45.5 / CAUD 10", (45.5, -10)),
        ("-30,20", (-30, 20)),
        ("-30 +20.5", (-30, 20.5)),
        ("RAO0", (0, 0)),
    ],
)
def test_a_view_is_named_as_cardiologists_do_or_by_its_angles(
    text: str, angles: tuple[float, float] | None
) -> None:
    assert ViewChoice(text).angles_deg == angles


@pytest.mark.parametrize(
    "text",
    [
        *("", "LAO", "30", "LAO30 RAO20", "CRA20 LAO30", "1,2,3", "LAO30 CRA", "left", "nan,0", "1e1,0"),
        *("LAO181", "0,91", "-200,0", "AP CAU95"),
    ],
)
def test_a_view_that_no_positioner_has_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"view is '{text}', need auto, words as in"):
        ViewChoice(text)


def test_a_view_has_one_name_however_it_was_written() -> None:
    texts = ("RAO30", "rao 30", "-30,0", "-30.0 -0", "RAO30 CRA0", "RAO30 CAU0")
    assert {ViewChoice(text).name for text in texts} == {"-30,0"}


@pytest.mark.parametrize(
    ("text", "seconds", "name"),
    [
        ("none", None, "none"),
        (" None ", None, "none"),
        ("0", (0.0, 3.0), "0,3"),
        ("0.50", (0.5, 3.0), "0.5,3"),
        ("0.5, 2", (0.5, 2.0), "0.5,2"),
    ],
)
def test_an_injection_has_a_start_and_a_length(
    text: str, seconds: tuple[float, float] | None, name: str
) -> None:
    choice = InjectionChoice(text)
    assert (choice.seconds, choice.name) == (seconds, name)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1,0", "1,0.000", "1,-2", "1,2,3", "nan", "inf", "1e3"])
def test_an_injection_that_has_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"injection is '{text}', need none, or seconds as in"):
        InjectionChoice(text)
