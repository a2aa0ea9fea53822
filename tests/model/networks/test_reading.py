"""The networks that read a frame: what they give, and what their input keeps and leaves out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from casgan_dicom.model.networks.reading import (
    PoseNet,
    TipNet,
    _grey,
    _lines,
    optical_depth,
    pose_input,
)
from casgan_dicom.model.networks.reading_shapes import CELLS, GRID, LANDMARKS, TOLD


def frames(count: int = 2) -> Tensor:
    return torch.rand(count, 1, 256, 256, generator=torch.Generator().manual_seed(1))


def test_both_networks_give_what_they_promise() -> None:
    tip, marks = TipNet(4)(frames(), frames())
    seen = pose_input(frames(), frames(), tip, marks)
    pose, maps = PoseNet(4)(seen, torch.zeros(2, TOLD))

    assert tip.shape == (2, CELLS * CELLS + 1)
    assert marks.shape == maps.shape == (2, 2, GRID, GRID)
    assert seen.shape == (2, 5, GRID, GRID)
    assert {name: tuple(values.shape[1:]) for name, values in pose.items()} == {
        **{"right": (1,), "landmarks": (2, LANDMARKS, 2), "log_spread": (2, LANDMARKS), "phase": (3,)},
        **{"isocentre": (2,), "scale": (1,), "semi_axes": (3,), "apex": (3,), "angles": (2,)},
    }


@pytest.mark.parametrize("gain", [0.5, 0.8])
def test_a_dimmer_display_of_the_same_frame_reads_almost_alike(gain: float) -> None:
    """Multiplying a display by a factor adds a constant to its logarithm, which a high-pass does not see."""
    bright = 0.3 + 0.6 * frames()

    lines, dimmed = _lines(bright, bright), _lines(gain * bright, gain * bright)

    torch.testing.assert_close(lines, dimmed, atol=1e-3, rtol=1e-3)


def test_black_blades_do_not_change_the_grey_scale() -> None:
    open_field = 0.4 + 0.4 * frames(1)
    bladed = open_field.clone()
    bladed[..., :70] = 0

    grey, with_blades = _grey(open_field, open_field), _grey(bladed, bladed)

    assert float((grey - with_blades)[..., 80:].abs().mean()) < 0.6 * float(grey.std())
    assert float(with_blades[..., :70].max()) < -2


def test_the_pose_network_sends_no_gradient_to_the_tip_network() -> None:
    tip = torch.zeros(1, CELLS * CELLS + 1, requires_grad=True)
    marks = torch.zeros(1, 2, GRID, GRID, requires_grad=True)

    assert not pose_input(frames(1), frames(1), tip, marks).requires_grad


def test_the_pose_network_sees_where_the_tip_was_found() -> None:
    tip = torch.full((1, CELLS * CELLS + 1), -20.0)
    tip[0, 10 * CELLS + 40] = 20.0

    spot = pose_input(frames(1), frames(1), tip, torch.zeros(1, 2, GRID, GRID))[0, 3]

    rows, columns = torch.nonzero(spot > 0.5, as_tuple=True)
    assert 17 <= float(rows.float().mean()) <= 24  # cell 10 is rows 20 and 21, its neighbours one more
    assert 77 <= float(columns.float().mean()) <= 84


def test_optical_depth_is_never_negative() -> None:
    depth = optical_depth(torch.linspace(-50, 50, 101))

    assert float(depth.min()) >= 0
    assert bool((depth[1:] >= depth[:-1]).all())
