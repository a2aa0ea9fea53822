"""Reference frames in the phase of target frames, by the ECG."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from casgan_dicom.model.roadmap.phase import BEFORE_R_S, beats_of, diastole_hold, since_r, wanted_times

BEATS = st.floats(0.45, 1.5)


def test_systole_is_matched_by_time_and_a_longer_rest_is_held() -> None:
    assert diastole_hold(0.2, 0.9, 0.8) == pytest.approx(0.2)
    assert diastole_hold(0.75, 0.35, 0.8) == pytest.approx(0.67)  # the reference's next R wave is 0.13 s away
    assert diastole_hold(0.75, None, 0.8) == pytest.approx(0.67)
    assert diastole_hold(1.05, 0.05, 0.8) == pytest.approx(0.75)  # counted back from the next R wave


@given(target=BEATS, reference=BEATS)
def test_the_way_through_a_beat_never_goes_back_and_ends_at_its_end(target: float, reference: float) -> None:
    since = np.linspace(0, target, 60, endpoint=False)
    mapped = [diastole_hold(s, target - s, reference) for s in since]

    assert np.all(np.diff(mapped) >= -1e-9)
    assert mapped[0] <= max(BEFORE_R_S, reference - target) + 1e-9
    assert min(mapped) >= 0
    assert max(mapped) <= reference
    assert diastole_hold(target, 0.0, reference) == pytest.approx(reference)


@given(beat=BEATS, share=st.floats(0, 0.999))
def test_beats_of_equal_length_correspond_moment_by_moment(beat: float, share: float) -> None:
    assume(not 0 < beat * (1 - share) - BEFORE_R_S < 1e-6)

    assert diastole_hold(share * beat, (1 - share) * beat, beat) == pytest.approx(share * beat)


def test_beats_reach_from_before_the_first_r_wave_to_the_last_frame() -> None:
    beats = beats_of([0.5, 1.3, 2.1], 3.5)

    assert [beat.begin_s for beat in beats] == pytest.approx([-0.3, 0.5, 1.3, 2.1, 2.9])
    assert [beat.end_s for beat in beats] == pytest.approx([0.5, 1.3, 2.1, 2.9, 3.7])
    assert [beat.told for beat in beats] == [False, True, True, False, False]


def test_before_the_first_r_wave_the_beat_is_counted_back() -> None:
    assert since_r(0.1, [0.5, 1.3]) == pytest.approx((0.4, 0.4))
    assert since_r(1.5, [0.5, 1.3]) == (pytest.approx(0.2), None)
    with pytest.raises(ValueError, match="no R wave"):
        since_r(0.1, [])


def test_every_beat_of_the_reference_has_its_moment() -> None:
    beats = beats_of([0.0, 0.9, 1.75], 1.8)

    wanted = wanted_times(10.2, [10.0, 10.9], beats)

    assert [w.beat for w in wanted] == [0, 1, 2, 3]
    assert [w.time_s - beats[w.beat].begin_s for w in wanted] == pytest.approx([0.2] * 4, rel=0.02)


def test_a_beat_that_came_early_is_no_match() -> None:
    wanted = wanted_times(0.2, [0.0, 0.9], beats_of([0.0, 0.9, 1.4, 2.3, 3.2], 3.2))

    assert 2 not in [w.beat for w in wanted]
    assert 1 in [w.beat for w in wanted]


def test_systole_is_shorter_in_a_run_of_a_faster_heart() -> None:
    """Bazett: with the root of the usual beat's length."""
    wanted = wanted_times(0.3, [0.0, 1.0, 2.0], beats_of([0.0, 0.64, 1.28], 1.3))

    assert wanted[1].time_s == pytest.approx(0.8 * 0.3)
