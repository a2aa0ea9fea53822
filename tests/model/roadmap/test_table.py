"""The table's way as the picture shows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.model.roadmap.table import picture_shift_mm, table_top_mm


def test_a_table_that_goes_to_the_head_moves_the_picture_up() -> None:
    """At 0/0 the picture's top is the head, its right the patient's left; magnification 2 doubles the way."""
    assert picture_shift_mm((0, 0, 10), (0, 0), 2.0) == pytest.approx([-20, 0])
    assert picture_shift_mm((0, 10, 0), (0, 0), 2.0) == pytest.approx([0, 20])
    assert picture_shift_mm((10, 0, 0), (0, 0), 2.0) == pytest.approx([0, 0])  # along the beam


def test_a_cranial_view_foreshortens_the_way_to_the_head() -> None:
    assert picture_shift_mm((0, 0, 10), (0, 60), 1.0) == pytest.approx([-5, 0])


@given(
    st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    st.tuples(st.floats(-60, 60), st.floats(-40, 40)),
    st.floats(1, 2),
)
def test_the_way_back_is_the_inverse(
    shift: tuple[float, float], angles: tuple[float, float], magnification: float
) -> None:
    table = table_top_mm(shift, angles, magnification)

    assert picture_shift_mm(table, angles, magnification) == pytest.approx(list(shift), abs=1e-6)


def test_no_way_of_the_table_is_seen_sideways_in_a_lateral_view() -> None:
    with pytest.raises(ValueError, match="along the table"):
        table_top_mm((1.0, 1.0), (90.0, 0.0), 1.5)
