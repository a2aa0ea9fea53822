"""Guide wires, second catheters, temporary leads and stents: how often, where, and that they beat."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from casgan_dicom.model.simulator import devices
from casgan_dicom.model.simulator.aorta import Aorta
from casgan_dicom.model.simulator.catheter import Catheter
from casgan_dicom.model.simulator.devices import Devices, carrier
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.strand import Strand
from casgan_dicom.model.simulator.tree import CoronaryTree, System, grow_tree

HEART = Heart()
VIEW = View(primary_deg=-30.0, size=128)
TREES: dict[System, CoronaryTree] = {
    "LCA": grow_tree(np.random.default_rng(0), HEART, "LCA", "right"),
    "RCA": grow_tree(np.random.default_rng(0), HEART, "RCA", "right"),
}
KINDS = ("_WIRE_SHARE", "_SECOND_SHARE", "_STENT_SHARE")


def laid(system: System, seed: int) -> tuple[Catheter, Devices]:
    rng, tree = np.random.default_rng(seed), TREES[system]
    aorta = Aorta.sample(rng, tree)
    catheter = Catheter.lay(rng, aorta, tree, VIEW)
    return catheter, Devices.lay(rng, (HEART, aorta, tree), catheter, VIEW)


def only(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Every run has this and nothing else."""
    for name in KINDS:
        monkeypatch.setattr(devices, name, float(name == kind))


def distance_to_tree(points: Array, system: System) -> Array:
    return np.asarray(cKDTree(np.concatenate([s.points for s in TREES[system].segments])).query(points)[0])


def test_most_runs_have_a_catheter_and_nothing_else() -> None:
    counts = np.array([len(laid("LCA", seed)[1].strands) for seed in range(150)])

    assert 0.08 < (counts > 0).mean() < 0.35
    nothing = Devices()
    image = nothing.attenuation(VIEW, carrier(Motion(), HEART, 0.0, 0.0))
    assert image.shape == (128, 128)
    assert not image.any()


@pytest.mark.parametrize("system", ["LCA", "RCA"])
def test_guide_wire_runs_down_the_artery_and_its_end_is_dark(
    monkeypatch: pytest.MonkeyPatch, system: System
) -> None:
    only(monkeypatch, "_WIRE_SHARE")
    for seed in range(12):
        catheter, found = laid(system, seed)
        if not catheter.present:
            assert not found.strands  # nothing that it could come out of
            continue
        (wire,) = found.strands
        assert 0.2 <= 2 * wire.tubes.radius[0] <= 0.36
        assert distance_to_tree(wire.tubes.points[:40], system).max() < 0.5
        past_tip = np.linalg.norm(wire.tubes.points[0] - catheter.course.points[0])
        assert past_tip > 10.0
        dark = wire.tubes.arc[wire.density > 1.2].max()
        assert 19.0 < dark < 31.0
        np.testing.assert_allclose(wire.tubes.points[-1], catheter.course.points[-1], atol=1.0)


def test_guide_wire_moves_with_the_artery_that_it_lies_in(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "_WIRE_SHARE")
    (wire,) = laid("RCA", 3)[1].strands
    motion = Motion()

    moved = carrier(motion, HEART, 0.36, 4.0)(wire)

    np.testing.assert_allclose(moved[:20], motion.move(HEART, wire.tubes.points[:20], 0.36, 4.0), atol=0.2)


def seconds(monkeypatch: pytest.MonkeyPatch, count: int) -> list[Strand]:
    only(monkeypatch, "_SECOND_SHARE")
    return [laid("LCA", seed)[1].strands[0] for seed in range(count)]


def turning_deg(points: Array) -> float:
    """How far a line turns in all, in degrees."""
    along = np.diff(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return float(np.rad2deg(np.arccos(np.clip((along[1:] * along[:-1]).sum(axis=1), -1.0, 1.0)).sum()))


def test_second_catheters_are_pigtails_and_pacing_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    curled = [turning_deg(s.tubes.points[s.tubes.arc < 40.0]) > 240.0 for s in seconds(monkeypatch, 24)]

    assert 4 <= sum(curled) <= 20


def test_pacing_lead_ends_with_its_electrodes_in_the_right_ventricle(monkeypatch: pytest.MonkeyPatch) -> None:
    leads = [s for s in seconds(monkeypatch, 24) if s.density.max() > 0.45]

    assert leads
    for lead in leads:
        unit = (HEART.axes @ lead.tubes.points[0]) / HEART.semi_axes_mm
        assert np.linalg.norm(unit) < 1.1
        assert unit[2] > 0.5  # near the apex
        assert lead.tubes.arc[lead.density > 0.45].max() < 15.0
        assert lead.share[0] == pytest.approx(1.0, abs=0.01)
        assert lead.share[-1] < 0.05


def test_stent_is_fine_struts_around_a_vessel(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "_STENT_SHARE")
    for seed in range(8):
        (stent,) = laid("RCA", seed)[1].strands
        distance = distance_to_tree(stent.tubes.points, "RCA")
        assert 0.8 < np.median(distance) < 2.1
        assert 8.0 < np.linalg.norm(np.ptp(stent.tubes.points, axis=0)) < 40.0
        image = stent.attenuation(stent.tubes.points, VIEW)
        assert 0.0 < image.max() < 0.5


def test_what_moves_changes_the_picture_and_keeps_its_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "_SECOND_SHARE")
    (lead,) = laid("LCA", 1)[1].strands
    found = Devices((lead,))
    rest, squeezed = (found.attenuation(VIEW, carrier(Motion(), HEART, phase, 0.0)) for phase in (0.0, 0.36))

    assert np.abs(rest - squeezed).sum() > 0.2 * rest.sum()
    assert squeezed.sum() == pytest.approx(rest.sum(), rel=0.2)
