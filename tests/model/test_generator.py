"""The generator: frames in, angiogram out, whatever the size and the method."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.sampling import sampled_frames
from casgan_dicom.model.bundle.bundle import Bundle, load_bundle
from casgan_dicom.model.bundle.deployed import TranslationNet, VesselNet
from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.data.normalisation import Levels, to_display, to_network
from casgan_dicom.model.drawing import Drawer
from casgan_dicom.model.engines.graph import MakeNet
from casgan_dicom.model.engines.torch_engine import TorchEngine
from casgan_dicom.model.generator import UNTOUCHED, Generator
from casgan_dicom.model.methods import registry
from casgan_dicom.model.methods.base import Arrays
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.settings import TrainSettings
from tests.model.bundles import write_bundle
from tests.support.atlas import Planner

Frames = npt.NDArray[np.float32]
DRAWN_VALUE = -0.9


class Stencil:
    """An engine that draws one dark value, or a map, with an attention given for the network's size."""

    name, device, batch = "stencil", "cpu", 3

    def __init__(self, attention: Frames | None, drawn: float | Frames | None = DRAWN_VALUE) -> None:
        self.attention, self.drawn = attention, drawn
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, x: Frames) -> tuple[Frames, Frames | None]:
        self.seen.append(x.shape)
        drawn = x.copy() if self.drawn is None else np.full_like(x, self.drawn)
        return drawn, None if self.attention is None else np.broadcast_to(self.attention, x.shape).copy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "small")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    return Generator.load(folder, device="cpu", engine="torch")


def frames_of(*shape: int) -> Frames:
    """Smooth structure with a little noise, display values."""
    rng = np.random.default_rng(11)
    t, h, w = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    picture = 0.5 + 0.3 * np.sin(7 * h + 3 * t) * np.cos(5 * w) + rng.normal(0, 0.02, shape)
    return np.asarray(np.clip(picture, 0, 1), dtype=np.float32)


def test_a_fresh_process_draws_the_same(folder: Path, generator: Generator, tmp_path: Path) -> None:
    frames = frames_of(2, 256, 256)
    np.save(tmp_path / "x.npy", frames)
    script = (
        "import sys, numpy as np\n"
        "from casgan_dicom.model.generator import Generator\n"
        "g = Generator.load(sys.argv[1], device='cpu', engine='torch')\n"
        "np.save(sys.argv[3], g(np.load(sys.argv[2])).frames)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, folder, tmp_path / "x.npy", tmp_path / "y.npy"],
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )

    # Not bit for bit: another number of threads may add in another order.
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), generator(frames).frames, atol=1e-5)


@pytest.mark.parametrize(
    "shape", [(1024, 1024), (512, 512), (256, 256), (300, 512), (257, 129), (64, 48), (1, 7)]
)
def test_any_size_comes_back_in_its_own(generator: Generator, shape: tuple[int, int]) -> None:
    frames = frames_of(1, *shape)

    made = generator(frames)

    assert made.attention is not None
    assert made.frames.shape == made.attention.shape == frames.shape
    assert made.frames.dtype == made.attention.dtype == np.float32
    assert 0 <= made.frames.min() <= made.frames.max() <= 1
    assert not np.array_equal(made.frames, frames)


def test_at_the_network_size_the_result_is_the_equation(bundle: Bundle, generator: Generator) -> None:
    """y = x(1 - A) + C·A, written out with the networks alone."""
    frames, levels = frames_of(1, 256, 256), Levels(0.2, 0.7)

    made = generator(frames, levels)

    settings = bundle.settings.normalisation
    x = torch.from_numpy(to_network(frames, levels, settings))[:, None]
    z = bundle.generators["predictor"](bundle.generators["enc_bg"](x))
    A, C = (maps[:, 0].numpy() for maps in bundle.generators["vessel"](z))
    assert made.attention is not None
    np.testing.assert_allclose(made.attention, A, atol=1e-6)
    np.testing.assert_allclose(
        made.frames, np.clip(frames * (1 - A) + to_display(C, levels, settings) * A, 0, 1), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(512, 512), (300, 511), (256, 256)])
def test_where_attention_is_below_the_limit_the_input_is_kept_bit_for_bit(
    bundle: Bundle, shape: tuple[int, int]
) -> None:
    attention = np.full((256, 256), 0.9 * UNTOUCHED, np.float32)
    attention[60:90, 60:90] = 0.5
    frames = frames_of(2, *shape)

    made = Generator(bundle, Stencil(attention))(frames)

    assert made.attention is not None
    kept = made.attention == 0
    assert 0.5 < kept.mean() < 1
    assert made.attention[~kept].min() >= UNTOUCHED
    assert np.array_equal(made.frames[kept], frames[kept])
    assert (made.frames[made.attention > 0.4] < frames[made.attention > 0.4]).all()


def test_attention_lands_where_it_was_predicted_in_a_wide_frame(bundle: Bundle) -> None:
    """Half the height of a 2:1 frame is a quarter of the square that the network sees."""
    attention = np.zeros((256, 256), np.float32)
    attention[64:128, 128:192] = 1

    made = Generator(bundle, Stencil(attention))(frames_of(1, 256, 512))

    wanted = np.zeros((256, 512), bool)
    wanted[128:256, 256:384] = True
    assert made.attention is not None
    assert np.mean((made.attention[0] > 0.5) != wanted) < 0.005  # the interpolated border


def test_batches_share_the_levels_of_the_series(bundle: Bundle, generator: Generator) -> None:
    frames = frames_of(5, 96, 96) * np.linspace(0.4, 1, 5, dtype=np.float32)[:, None, None]
    levels = generator.measure(frames)

    at_once = Generator(bundle, drawer=generator._drawer, batch=5)(frames)
    one_by_one = np.concatenate([generator(frame[None], levels).frames for frame in frames])

    # Sums over a batch may be added in another order than over a single frame.
    np.testing.assert_allclose(one_by_one, at_once.frames, atol=1e-5)


def test_frames_travel_in_batches_of_the_size_that_suits_the_engine(bundle: Bundle) -> None:
    engine = Stencil(np.zeros((256, 256), np.float32))

    Generator(bundle, engine)(frames_of(7, 32, 32))
    assert [shape[0] for shape in engine.seen] == [3, 3, 1]

    engine.seen.clear()
    Generator(bundle, engine, batch=4)(frames_of(7, 32, 32))
    assert [shape[0] for shape in engine.seen] == [4, 3]


def test_a_method_without_attention_adds_its_residual_at_full_size(tmp_path: Path) -> None:
    plain = load_bundle(write_bundle(tmp_path / "plain", ["cas.vsgg=false"]))
    frames, levels = frames_of(1, 512, 512) * np.float32(0.5), Levels(0.1, 0.4)

    made = Generator.load(tmp_path / "plain", device="cpu", engine="torch")(frames, levels)

    settings = plain.settings.normalisation
    small = F.interpolate(
        torch.from_numpy(frames)[:, None], size=(256, 256), mode="bicubic", antialias=True
    ).clamp(0, 1)
    x = to_network(small.numpy(), levels, settings)
    nets = plain.generators
    z = nets["enc_bg"](torch.from_numpy(x))
    drawn = nets["dec_y"](nets["fuse"](torch.cat([z, nets["predictor"](z)], dim=1))).numpy()
    residual = (drawn - x) * (levels.high - levels.low) / (settings.high - settings.low)
    grown = F.interpolate(torch.from_numpy(residual), size=(512, 512), mode="bilinear")[:, 0].numpy()
    assert made.attention is None
    np.testing.assert_allclose(made.frames, np.clip(frames + grown, 0, 1), atol=1e-5)


def test_a_method_that_changes_nothing_leaves_what_lies_beyond_its_range(bundle: Bundle) -> None:
    """Values that the normalisation clips are not pulled to the clip: the network never saw them."""
    frames = frames_of(1, 128, 128)

    made = Generator(bundle, Stencil(None, drawn=None))(frames, Levels(0.45, 0.5))

    np.testing.assert_allclose(made.frames, frames, atol=1e-6)


def test_frames_that_cannot_be_written_to_are_accepted(generator: Generator) -> None:
    frames = frames_of(1, 256, 256)
    frames.setflags(write=False)

    assert generator(frames).frames.shape == frames.shape


def test_at_the_network_size_the_vessel_map_is_that_of_the_segmentor(
    bundle: Bundle, generator: Generator
) -> None:
    frames, levels = frames_of(2, 256, 256), Levels(0.2, 0.7)

    found = generator.vessels(frames, levels)

    x = torch.from_numpy(to_network(frames, levels, bundle.settings.normalisation))[:, None]
    np.testing.assert_allclose(found, bundle.segmentor.soft_mask(x)[:, 0].numpy(), atol=1e-6)
    assert found.std() > 1e-4  # a hundred times the tolerance: it is a map, not a constant


def test_the_segmentor_may_see_frames_at_a_size_of_its_own(bundle: Bundle) -> None:
    """Networks that were trained at 128 pixels do not blind the check for contrast."""
    small = replace(bundle, info=replace(bundle.info, size=64, segmentor_size=128))
    generator = Generator(small, TorchEngine(TranslationNet(small).eval(), device="cpu"))
    frames, levels = frames_of(1, 128, 128), Levels(0.2, 0.7)

    found = generator.vessels(frames, levels)

    x = torch.from_numpy(to_network(frames, levels, bundle.settings.normalisation))[:, None]
    np.testing.assert_allclose(found, bundle.segmentor.soft_mask(x)[:, 0].numpy(), atol=1e-6)
    assert generator(frames).frames.shape == (1, 128, 128)


@pytest.mark.parametrize("shape", [(1024, 1024), (512, 512), (300, 512), (257, 129), (1, 7)])
def test_the_vessel_map_has_the_size_of_the_frame(generator: Generator, shape: tuple[int, int]) -> None:
    found = generator.vessels(frames_of(1, *shape))

    assert found.shape == (1, *shape)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1


def test_a_vessel_lands_where_it_was_found_in_a_wide_frame(bundle: Bundle) -> None:
    """Half the height of a 2:1 frame is a quarter of the square that the segmentor sees."""
    vessel = np.zeros((256, 256), np.float32)
    vessel[64:128, 128:192] = 1
    generator = Generator(bundle, Stencil(None), make_engine=lambda *_: Stencil(None, drawn=vessel))

    found = generator.vessels(frames_of(1, 256, 512))

    wanted = np.zeros((256, 512), bool)
    wanted[128:256, 256:384] = True
    assert np.mean((found[0] > 0.5) != wanted) < 0.005  # the interpolated border


def test_the_segmentor_is_made_once_and_only_when_it_is_asked_for(bundle: Bundle) -> None:
    made: list[Stencil] = []

    def make(make_net: MakeNet, size: int, _identity: str) -> Stencil:
        net = make_net()
        assert isinstance(net, VesselNet)
        assert not net.training
        assert size == bundle.info.size
        made.append(Stencil(None, drawn=0.5))
        return made[-1]

    generator = Generator(bundle, Stencil(None), make_engine=make)
    generator(frames_of(2, 32, 32))
    assert made == []

    generator.vessels(frames_of(7, 32, 32))
    generator.vessels(frames_of(1, 32, 32))
    assert [[shape[0] for shape in engine.seen] for engine in made] == [[3, 3, 1, 1]]


def test_batches_of_vessel_maps_share_the_levels_of_the_series(generator: Generator) -> None:
    frames = frames_of(3, 96, 96) * np.linspace(0.4, 1, 3, dtype=np.float32)[:, None, None]

    at_once = generator.vessels(frames)
    one_by_one = np.concatenate([generator.vessels(f[None], generator.measure(frames)) for f in frames])

    np.testing.assert_allclose(one_by_one, at_once, atol=1e-6)


def test_a_size_that_a_unet_cannot_halve_is_continued_for_it(tmp_path: Path) -> None:
    """Bundles come in steps of 4 rows, a U-Net of four levels wants steps of 16."""
    folder = write_bundle(tmp_path / "odd", ["data.frame_size=100", "data.crop=64"])
    generator = Generator.load(folder, device="cpu", engine="torch")
    frames, levels = frames_of(1, 100, 100), Levels(0.2, 0.7)

    found = generator.vessels(frames, levels)

    loaded = load_bundle(folder)
    x = np.pad(to_network(frames, levels, loaded.settings.normalisation), ((0, 0), (0, 12), (0, 12)), "edge")
    wanted = loaded.segmentor.soft_mask(torch.from_numpy(x)[:, None])[:, 0, :100, :100]
    assert generator.info.size == 100
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 4), np.float32), r"shape \(T, H, W\)"),
        (np.zeros((4, 4), np.float32), r"got \(4, 4\); a single frame is frames\[None\]"),
        (np.zeros((0, 4, 4), np.float32), r"shape \(T, H, W\)"),
        (np.zeros((1, 4, 4, 3), np.float32), r"shape \(T, H, W\), got \(1, 4, 4, 3\)"),
        (np.zeros((1, 4, 4), np.uint8), "floating-point type, got uint8; stored values are divided"),
        ([[[0.5]]], "need to be a numpy array"),
        (np.full((1, 4, 4), 255.0, np.float32), "255"),
        (np.full((1, 4, 4), -0.1, np.float32), r"-0\.1"),
        (np.full((1, 4, 4), np.nan, np.float32), "nan"),
    ],
)
def test_what_is_no_display_frame_is_refused(generator: Generator, frames: Frames, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generator(frames)
    with pytest.raises(ValueError, match=message):
        generator.vessels(frames)


def test_double_precision_gives_what_single_precision_gives(generator: Generator) -> None:
    frames = frames_of(2, 64, 64)

    made = generator(frames.astype(np.float64))

    assert made.frames.dtype == np.float32
    np.testing.assert_array_equal(made.frames, generator(frames).frames)
    np.testing.assert_array_equal(generator.vessels(frames.astype(np.float64)), generator.vessels(frames))


def test_values_that_had_to_be_clipped_are_counted_per_frame(bundle: Bundle) -> None:
    """Drawn at full attention over a quarter of the frame, far below black; a frame of white is kept."""
    attention = np.zeros((2, 1, 256, 256), np.float32)
    attention[0, :, :128, :128] = 1

    made = Generator(bundle, Stencil(attention, drawn=-20), batch=2)(frames_of(2, 256, 256))

    assert made.out_of_range is not None
    assert made.out_of_range.tolist() == [0.25, 0]


def test_a_rounding_error_of_white_is_no_value_that_had_to_be_clipped(bundle: Bundle) -> None:
    """With these levels the display value 1 comes back from network values as 1.0000001."""
    white, levels = np.ones((1, 256, 256), np.float32), Levels(0.01, 0.64)
    drawn = -0.4 + (1 - 0.01) * 0.8 / (0.64 - 0.01)  # display 1 in network values
    attention = np.ones((256, 256), np.float32)

    made = Generator(bundle, Stencil(attention, drawn=drawn))(white, levels)

    assert made.out_of_range is not None
    assert made.out_of_range.tolist() == [0]


@pytest.mark.parametrize("device", ["tpu", "cud", "CPU"])
def test_an_unknown_device_is_refused(folder: Path, device: str) -> None:
    with pytest.raises(ConfigError, match=f"'{device}' is unknown"):
        Generator.load(folder, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no CUDA device"):
        Generator.load(folder, device="cuda")


def test_an_unknown_engine_is_refused(folder: Path) -> None:
    unknown: Any = "steam"
    with pytest.raises(ConfigError, match="engine 'steam' is unknown"):
        Generator.load(folder, device="cpu", engine=unknown)


def test_openvino_that_is_not_installed_is_refused_and_not_chosen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ConfigError, match="not installed"):
        Generator.load(folder, device="cpu", engine="openvino")
    assert Generator.load(folder, device="cpu").engine == "torch-fp32"


def test_an_unknown_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="bundle 'nowhere'"):
        Generator.load(tmp_path / "nowhere", device="cpu", engine="torch")


def test_a_generator_says_what_it_is(generator: Generator) -> None:
    assert (generator.engine, generator.device, generator.info.name) == ("torch-fp32", "cpu", "casgan-smoke")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_draws_what_the_cpu_draws(folder: Path, generator: Generator) -> None:
    frames = frames_of(9, 300, 512)

    on_gpu = Generator.load(folder, device="cuda")
    made = on_gpu(frames)

    assert (on_gpu.engine, on_gpu.device) == ("torch-bf16", "cuda")
    # bf16 keeps 8 bits of mantissa: 0.4 % of a value.
    assert np.abs(made.frames - generator(frames).frames).mean() < 0.01
    assert np.abs(on_gpu.vessels(frames) - generator.vessels(frames)).mean() < 0.01


# --- by plan ----------------------------------------------------------------------------------------------


def test_a_method_that_draws_frame_by_frame_plans_nothing(generator: Generator) -> None:
    assert generator.sampled(40) == ()
    assert generator.plan(frames_of(2, 32, 32), (0, 9), RunContext()) is None


def test_a_plan_goes_through_every_call_with_the_numbers_of_its_frames(bundle: Bundle) -> None:
    planner = Planner()
    generator, frames = Generator(bundle, drawer=planner.drawer(), batch=2), frames_of(5, 32, 32)

    wanted = generator.sampled(30)
    plan = generator.plan(frames_of(len(wanted), 32, 32), wanted, RunContext(frames=30))
    made = generator(frames, None, plan, (3, 4, 5, 20, 29))

    assert len(planner.told) == 1
    assert sorted(planner.drawn) == [(3,), (4,), (5,), (20,), (29,)]  # by any thread
    assert made.attention is not None
    rows = [int(np.flatnonzero(attention.any(axis=1))[0]) for attention in made.attention]
    assert rows == [11, 12, 13, 28, 5]  # row 8 + k, from the top again where the picture ends


def test_frames_without_a_plan_are_a_run_of_their_own(bundle: Bundle) -> None:
    planner = Planner()
    generator = Generator(bundle, drawer=planner.drawer(), batch=8)

    generator(frames_of(20, 16, 16))

    known = RunContext(frames=20, shape=(16, 16))
    assert planner.told == [(sampled_frames(20), 20, known)]
    assert sorted(number for batch in planner.drawn for number in batch) == list(range(20))


@pytest.mark.parametrize(
    ("numbers", "told"), [((0,), "as many numbers"), ((0, 30), "leave the planned run"), ((-1, 0), "leave")]
)
def test_numbers_that_are_not_those_of_the_plan_are_refused(
    bundle: Bundle, numbers: tuple[int, ...], told: str
) -> None:
    generator, frames = Generator(bundle, drawer=Planner().drawer()), frames_of(2, 16, 16)
    plan = generator.plan(frames, (0, 1), RunContext(frames=30))

    with pytest.raises(ValueError, match=told):
        generator(frames, None, plan, numbers)


def test_a_plan_needs_the_number_of_each_frame(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="2 frames need as many numbers, got 1"):
        Generator(bundle, drawer=Planner().drawer()).plan(frames_of(2, 16, 16), (0,), RunContext())


def test_a_generator_of_nothing_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="an engine or a drawer"):
        Generator(bundle)


class Planning(CasGan):
    """A method that draws by plan, with arrays of its own."""

    extra_files = ("library.safetensors",)
    devices: ClassVar[list[str]] = []

    @classmethod
    def drawer(
        cls, nets: nn.ModuleDict, settings: TrainSettings, extra: Mapping[str, Arrays], device: str
    ) -> Drawer:
        assert set(nets) == {"enc_bg", "predictor", "vessel"}
        assert settings.method == "casgan"
        assert extra["library.safetensors"]["trees"].tolist() == [1, 2, 3]
        cls.devices.append(device)
        return Planner().drawer()


@pytest.fixture
def planning(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of that method."""
    loaded = load_bundle(folder)
    monkeypatch.setattr(registry, "BUILT_IN", registry.BUILT_IN | {"casgan": f"{__name__}:Planning"})
    monkeypatch.setattr(registry, "BY_PLAN", ("casgan",))
    extra = {"library.safetensors": {"trees": np.array([1, 2, 3], np.float16)}}
    nets, segmentor = loaded.generators.state_dict(), loaded.segmentor.state_dict()
    save_bundle(tmp_path / "planning", loaded.settings, nets, segmentor, data="none", extra=extra)
    return tmp_path / "planning"


def test_a_method_brings_its_own_drawer_and_the_arrays_it_needs(planning: Path) -> None:
    generator = Generator.load(planning, device="cpu")

    assert Planning.devices == ["cpu"]
    assert (generator.engine, generator.sampled(3)) == ("numpy-fp32", (0, 1, 2))
    assert generator.vessels(frames_of(1, 32, 32)).shape == (1, 32, 32)


def test_a_drawer_of_its_own_does_not_run_on_openvino(planning: Path) -> None:
    with pytest.raises(ConfigError, match="runs on torch only"):
        Generator.load(planning, device="cpu", engine="openvino")
