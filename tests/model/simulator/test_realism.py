"""The second table: each figure follows what it is meant to measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.realism import REALISM, measure_realism
from casgan_dicom.model.simulator.table import Pan, Table
from tests.model.simulator.phantom import WaterBaths

SIZE = 128


@pytest.fixture(scope="module")
def run() -> SimulatedCine:
    """One cine on a water bath, its first six frames and two filled ones; nothing of it moves the table."""
    settings = CineSettings(size=SIZE, frames=60, injected="LCA", view="RAO20CAU20")
    cine = simulate_cine(4, settings, WaterBaths(), well_filled=2, consecutive=6)
    linear = replace(cine.detector, relationship="LIN", inverted=False)
    return replace(cine, run=replace(cine.run, table=Table()), detector=linear)


def grain(run: SimulatedCine, share: float) -> SimulatedCine:
    """The run with plain frames of nothing but grey and grain that keeps a share of the frame before."""
    rng, frames = np.random.default_rng(2), []
    state = rng.normal(0.0, 3.0, (SIZE, SIZE))
    for _ in run.indices:
        frames.append(state)
        state = share * state + np.sqrt(1 - share**2) * rng.normal(0.0, 3.0, (SIZE, SIZE))
    return replace(run, plain=np.rint(120 + np.stack(frames)).astype(np.uint8))


def test_every_row_has_a_range_that_can_be_met() -> None:
    assert all(limit.low < limit.high for limit in REALISM.values())
    for limit in REALISM.values():
        assert limit.real is None or limit.low <= limit.real <= limit.high


def test_white_and_filtered_runs_give_least_and_most_correlation(run: SimulatedCine) -> None:
    table = measure_realism([grain(run, 0.0), grain(run, 0.7)])
    assert table["noise_lag1_least"] == pytest.approx(0.0, abs=0.06)
    assert table["noise_lag1_most"] == pytest.approx(0.7, abs=0.06)
    assert table["noise_sd"] == pytest.approx(3.0, rel=0.1)
    assert table["fine_power"] == pytest.approx(9.0 / 0.25, rel=0.15)


def test_filled_frames_do_not_count_as_the_next_of_the_first_ones(run: SimulatedCine) -> None:
    flashing = grain(run, 0.0)
    flashing.plain[6:] = 255
    assert measure_realism([flashing])["change_most"] < 5


def test_a_jump_between_frames_is_the_largest_change(run: SimulatedCine) -> None:
    jumping = grain(run, 0.0)
    jumping.plain[3:] += 20
    table = measure_realism([jumping])
    assert table["change_most"] == pytest.approx(20, abs=0.5)
    assert table["change"] < 5


def test_grey_range_is_that_of_the_field(run: SimulatedCine) -> None:
    ramp = np.broadcast_to(np.linspace(20, 219, SIZE).astype(np.uint8), run.plain.shape)
    flat = np.full_like(run.plain, 90)
    table = measure_realism([replace(run, plain=frames) for frames in (ramp, flat)])
    assert table["range_most"] == pytest.approx(196, abs=3)
    assert table["range_least"] == 0
    assert table["range_mean"] == pytest.approx(98, abs=2)


def test_catheter_depth_and_width_follow_the_picture(run: SimulatedCine) -> None:
    mask = np.zeros_like(run.catheter_mask)
    mask[:, 10:90, 40:42] = True
    dark = np.where(mask, 150 * np.exp(-0.1), 150).astype(np.uint8)
    table = measure_realism([replace(run, plain=dark, catheter_mask=mask)])
    assert table["catheter_depth"] == pytest.approx(0.1, abs=0.01)
    assert table["catheter_plain"] == 1
    assert table["catheter_width"] == pytest.approx(4, abs=0.1)  # one pixel of two is on the ridge
    gone = measure_realism([replace(run, plain=np.full_like(dark, 150), catheter_mask=mask)])
    assert gone["catheter_plain"] == 0


def test_panned_runs_are_counted(run: SimulatedCine) -> None:
    panned = replace(run, run=replace(run.run, table=Table((Pan(1.0, 1.0, (9.0, 9.0)),))))
    assert measure_realism([run, panned])["panned"] == 0.5


def test_irregular_hearts_are_counted(run: SimulatedCine) -> None:
    def beating(*beats: float) -> SimulatedCine:
        return replace(run, run=replace(run.run, motion=replace(run.run.motion, beats=beats)))

    assert measure_realism([beating(), beating(1.0, 1.02), beating(0.6, 1.4)])["irregular"] == pytest.approx(
        1 / 3
    )


def test_field_and_tip_are_those_of_the_view(run: SimulatedCine) -> None:
    view = replace(run.view, field_mm=150.0)
    small = replace(run, run=replace(run.run, view=view))
    table = measure_realism([run, small])
    assert table["field_least"] == 150.0
    assert table["field_most"] == run.view.field_mm
    column, row = run.view.project(run.run.tree.ostium)[0]
    alone = measure_realism([run])["tip_edge"]
    assert alone == pytest.approx(512 / SIZE * min(column, row), abs=40)  # the heart beats


def test_agent_in_the_root_and_in_the_heart_is_seen(run: SimulatedCine) -> None:
    """Contrast frames made from the plain ones, so that only what is added shows."""

    def with_agent(where: np.ndarray, depth: float) -> SimulatedCine:
        grey = np.full_like(run.plain, 200)
        return replace(run, plain=grey, contrast=np.rint(grey * np.exp(-depth * where)).astype(np.uint8))

    column, row = run.view.project(run.run.tree.ostium)[0]
    y, x = np.indices((SIZE, SIZE))
    root = np.hypot(x - column, y - row) < 12
    none = measure_realism([with_agent(0 * root, 0.0)])
    reflux = measure_realism([with_agent(root, 0.3)])
    assert (none["reflux"], none["blush"]) == (0, 0)
    assert (reflux["reflux"], reflux["blush"]) == (1, 0)
    left = x < SIZE / 2
    blush = replace(with_agent(left, 0.1), heart_mask=np.broadcast_to(left, run.plain.shape))
    assert measure_realism([blush])["blush"] == 1


def test_a_round_field_with_a_soft_edge_is_told_from_an_open_square(run: SimulatedCine) -> None:
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    radius = np.hypot(x, y)
    disc = 30 + 150 / (1 + np.exp((radius - 55) / 1.5))
    plain = np.broadcast_to(disc.astype(np.uint8), run.plain.shape)
    round_run = replace(run, plain=plain, field_mask=radius < 55)
    table = measure_realism([run, round_run])
    assert table["round_fields"] == 0.5
    assert table["edge_width_most"] == pytest.approx(
        4 * 1.5 * 4.39, rel=0.2
    )  # logistic: 10-90 % is 4.39 scales
