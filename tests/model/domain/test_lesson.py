"""Pictures that a bundle is taught to tell from its own."""

from __future__ import annotations

import numpy as np

from casgan_dicom.model.domain.lesson import foreign_pictures, own_pictures
from casgan_dicom.model.domain.view import SIDE
from casgan_dicom.model.domain.volumes import Volume
from tests.model.domain.test_view import picture


def test_every_kind_of_foreign_picture_can_be_drawn_and_follows_from_its_seed() -> None:
    frames = np.stack([picture(128)] * 2)
    hu = np.random.default_rng(1).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
    volume = Volume.of(hu, (2.5, 2.5, 2.5))

    first, again = (list(foreign_pictures(np.random.default_rng(7), frames, volume, each=2)) for _ in "ab")

    assert len({name for name, _ in first}) == len(first) // 2
    for (name, made), (_, other) in zip(first, again, strict=True):
        assert made.shape == (128, 128), name
        assert np.isfinite(made).all(), name
        assert -1e-6 <= made.min() <= made.max() <= 1 + 1e-6, name
        np.testing.assert_array_equal(made, other, err_msg=name)


def test_variants_of_a_frame_are_seen_like_it() -> None:
    frame = picture(128)

    plain, *variants = own_pictures(np.random.default_rng(2), frame[None])

    assert all(variant.shape == (SIDE, SIDE) for variant in variants)
    assert all(not np.array_equal(variant, plain) for variant in variants)
