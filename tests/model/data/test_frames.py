"""Series become a domain, and crops are drawn from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import FrameSet, Series, frame_set
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.settings import DataSettings, NormalisationSettings

NORMALISATION = NormalisationSettings()


def ramp(n: int = 3, side: int = 40, seed: int = 0) -> npt.NDArray[np.float32]:
    """Frames whose every pixel is another value."""
    values = np.random.default_rng(seed).permutation(n * side * side).reshape(n, side, side)
    return np.asarray(values / values.size, dtype=np.float32)


def sampler_of(x: FrameSet, y: FrameSet | None = None, *, crop: int = 16, flip: bool = False) -> CropSampler:
    return CropSampler(x, y or x, DataSettings(crop=crop, flip=flip), NORMALISATION)


def series(frames: npt.NDArray[np.float32], key: str = "s", patient: str = "p") -> Series:
    return Series(frames, key, patient)


def paired(n: int = 3, side: int = 40) -> FrameSet:
    frames = np.rint(ramp(n, side) * 65535).astype(np.uint16)
    levels = np.array([[0.1 + 0.05 * k, 0.8 - 0.05 * k] for k in range(n)], np.float32)
    return FrameSet(frames, levels, 65535 - frames, frames % 3 == 0)


def to_network(stored: npt.NDArray[np.uint16], low: float, high: float) -> npt.NDArray[np.float64]:
    """Two levels become -0.4 and 0.4, by hand."""
    return np.clip(-0.4 + 0.8 * (stored / 65535 - low) / (high - low), -1, 1)


def places(domain: FrameSet, crop: int, flip: bool) -> dict[bytes, tuple[int, int, int, bool]]:
    """Every possible crop by its bits: frame, top, left, mirrored."""
    n, height, width = domain.frames.shape
    found = {}
    for k in range(n):
        for top in range(height - crop + 1):
            for left in range(width - crop + 1):
                window = domain.masks[k, top : top + crop, left : left + crop]  # type: ignore[index]
                found[np.packbits(window).tobytes()] = (k, top, left, False)
                if flip:
                    found[np.packbits(window[:, ::-1]).tobytes()] = (k, top, left, True)
    return found


@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_is_a_window_of_one_frame_in_network_values_with_twin_and_mask_from_the_same_place(
    flip: bool,
) -> None:
    domain = paired()
    assert domain.twins is not None
    known = places(domain, 16, flip)

    batch = sampler_of(domain, flip=flip).batch(200, torch.Generator().manual_seed(0))

    assert batch.twin is not None
    assert batch.mask is not None
    seen = []
    for x, twin, mask in zip(batch.x.numpy(), batch.twin.numpy(), batch.mask.numpy(), strict=True):
        k, top, left, mirrored = known[np.packbits(mask[0].astype(bool)).tobytes()]
        seen.append((k, top, left, mirrored))
        low, high = domain.levels[k]
        for crop, source in ((x, domain.frames), (twin, domain.twins)):
            window = source[k, top : top + 16, left : left + 16]
            expected = to_network(window[:, ::-1] if mirrored else window, low, high)
            np.testing.assert_allclose(crop[0], expected, atol=1e-6)
    # 200 draws out of 3 frames and 25 rows and columns: each edge has been drawn but for one chance in 1,000
    assert {k for k, *_ in seen} == {0, 1, 2}
    assert {0, 24} <= {top for _, top, _, _ in seen}
    assert {0, 24} <= {left for _, _, left, _ in seen}
    assert (50 < sum(m for *_, m in seen) < 150) is flip


def test_the_generator_alone_decides_which_crops_come() -> None:
    sampler = sampler_of(paired(), flip=True)
    torch.manual_seed(1)
    first = [sampler.batch(2, g) for g in [torch.Generator().manual_seed(7)] for _ in range(3)]
    torch.manual_seed(2)
    second = [sampler.batch(2, g) for g in [torch.Generator().manual_seed(7)] for _ in range(3)]
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert not torch.equal(first[0].x, first[1].x)


def test_x_and_y_are_drawn_independently() -> None:
    """On the same frames the two crops of a pair agree no more often than chance."""
    domain = paired(n=2, side=16)
    batch = sampler_of(domain).batch(400, torch.Generator().manual_seed(0))
    agreeing = int((batch.x == batch.y).all(dim=(1, 2, 3)).sum())
    assert abs(agreeing - 200) < 50  # five standard deviations of a fair coin
    assert batch.x.dtype == torch.float32
    assert batch.x.shape == (400, 1, 16, 16)


def test_labelled_crops_are_angiograms_with_their_masks() -> None:
    domain = paired(n=1, side=16)
    image, mask = sampler_of(domain).labelled(1, torch.Generator())
    assert domain.masks is not None
    np.testing.assert_array_equal(mask[0, 0].numpy(), domain.masks[0])
    np.testing.assert_allclose(image[0, 0].numpy(), to_network(domain.frames[0], 0.1, 0.8), atol=1e-6)


def test_labelled_whole_frames_are_not_cropped() -> None:
    domain = paired(n=1, side=32)
    image, mask = sampler_of(domain).labelled(1, torch.Generator(), whole=True)
    assert domain.masks is not None
    np.testing.assert_array_equal(mask[0, 0].numpy(), domain.masks[0])
    assert image.shape == mask.shape


def test_frames_without_masks_train_no_segmentor() -> None:
    plain = FrameSet(paired().frames, paired().levels)
    with pytest.raises(ConfigError, match="no vessel masks"):
        sampler_of(plain).labelled(1, torch.Generator())
    batch = sampler_of(plain).batch(1, torch.Generator())
    assert batch.twin is batch.mask is None


@pytest.mark.parametrize("crop", [48, 0, 8, 20])
def test_a_crop_that_cannot_be_cut_or_halved_is_refused(crop: int) -> None:
    with pytest.raises(ConfigError, match=f"data.crop is {crop}"):
        sampler_of(paired(), crop=crop)


def test_the_smaller_domain_is_named() -> None:
    with pytest.raises(ConfigError, match="domain y are 24 px"):
        sampler_of(paired(), paired(side=24), crop=32)


def test_a_frame_set_keeps_sixteen_bits_and_the_levels_of_each_series() -> None:
    first, second = ramp(2), ramp(3, seed=1) * np.float32(0.5)
    domain = frame_set([series(first), series(second)], NORMALISATION, 0)
    np.testing.assert_allclose(domain.frames / 65535, np.concatenate([first, second]), atol=0.5 / 65535)
    for k, cine in ((0, first), (1, first), (2, second), (4, second)):
        expected = np.percentile(cine, [10, 90], method="inverted_cdf")
        np.testing.assert_allclose(domain.levels[k], expected, atol=1 / 65535)
    assert len(domain) == 5
    assert domain.twins is None
    assert domain.masks is None


def test_frames_of_other_sizes_are_resized_or_refused() -> None:
    sizes = [series(ramp(1, 40)), series(ramp(2, 32))]
    assert frame_set(sizes, NORMALISATION, 24).frames.shape == (3, 24, 24)
    with pytest.raises(ConfigError, match=r"\(32, 32\) beside frames of \(40, 40\)") as caught:
        frame_set(sizes, NORMALISATION, 0)
    assert "data.frame_size" in caught.value.hint


def test_frames_that_are_not_square_are_seen_in_training_as_in_use() -> None:
    """Levels of the frames as they came, and the shorter side continued, not stretched."""
    tall = ramp(2)[:, :, :20]
    domain = frame_set([Series(tall, "s", "p", tall > 0.5)], NORMALISATION, 16)
    assert domain.masks is not None
    expected = np.percentile(tall, [10, 90], method="inverted_cdf")
    np.testing.assert_allclose(domain.levels[0], expected, atol=1 / 65535)
    assert domain.frames.shape == domain.masks.shape == (2, 16, 16)
    np.testing.assert_array_equal(domain.frames[:, :, 8:], domain.frames[:, :, 7:8].repeat(8, axis=2))
    np.testing.assert_allclose(domain.frames / 65535, to_square(tall, 16), atol=1 / 65535)
    assert domain.masks[:, :, :8].any()
    assert not domain.masks[:, :, 8:].any()


def test_no_frames_are_an_error() -> None:
    with pytest.raises(ConfigError, match="no frames"):
        frame_set([], NORMALISATION, 0)


def test_frames_that_would_have_to_be_enlarged_to_fill_a_crop_are_refused() -> None:
    small = [series(ramp(1, 40)[:, :20])]
    assert len(frame_set(small, NORMALISATION, 64, crop=40)) == 1
    with pytest.raises(ConfigError, match=r"data\.crop is 41, but there are frames of \(20, 40\) px"):
        frame_set(small, NORMALISATION, 64, crop=41)


def test_the_masks_of_a_series_stay_over_its_frames_when_both_are_resized() -> None:
    """The mask marks the bright square of the frame, before and after."""
    frames = np.zeros((1, 64, 64), np.float32)
    frames[0, 16:32, 32:48] = 1
    domain = frame_set([Series(frames, "s", "p", frames > 0.5)], NORMALISATION, 32)
    assert domain.masks is not None
    assert domain.masks.dtype == np.bool_
    np.testing.assert_array_equal(domain.masks, domain.frames > 32768)
    assert domain.masks.sum() == 8 * 8


def test_labelled_crops_come_from_the_labelled_set_where_there_is_one() -> None:
    x, labelled = paired(n=2), paired(n=1, side=16)
    y = FrameSet(x.frames, x.levels)
    sampler = CropSampler(x, y, DataSettings(crop=16, flip=False), NORMALISATION, labelled=labelled)
    image, mask = sampler.labelled(1, torch.Generator())
    assert labelled.masks is not None
    np.testing.assert_array_equal(mask[0, 0].numpy(), labelled.masks[0])
    np.testing.assert_allclose(image[0, 0].numpy(), to_network(labelled.frames[0], 0.1, 0.8), atol=1e-6)


@pytest.mark.parametrize(("share", "without"), [(0, 0), (0.5, 2), (0.6, 3)])
def test_a_share_of_the_labelled_crops_is_without_contrast_and_marks_nothing(
    share: float, without: int
) -> None:
    x = FrameSet(np.zeros((1, 16, 16), np.uint16), np.asarray([[0.1, 0.8]], np.float32))
    y = FrameSet(np.full((1, 16, 16), 65535, np.uint16), x.levels, masks=np.ones((1, 16, 16), np.bool_))
    sampler = CropSampler(x, y, DataSettings(crop=16, flip=False), NORMALISATION)

    image, mask = sampler.labelled(5, torch.Generator(), empty=share)

    assert (image[:, 0, 0, 0] > 0).tolist() == mask[:, 0].all(dim=(1, 2)).tolist()
    assert mask.mean(dim=(1, 2, 3)).tolist() == [1.0] * (5 - without) + [0.0] * without


def test_labelled_frames_smaller_than_a_crop_are_refused() -> None:
    with pytest.raises(ConfigError, match="frames of the labelled set are 24 px"):
        CropSampler(
            paired(), paired(), DataSettings(crop=32, flip=False), NORMALISATION, labelled=paired(side=24)
        )
