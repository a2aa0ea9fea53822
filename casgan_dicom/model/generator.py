"""The generator as others use it: display frames in, synthetic angiogram out.

How vessels are drawn is the method's business (``drawing.py``). Whatever it draws is composed with the
full-size input in float32 display values, so the background keeps every pixel:

    y = x · (1 - A) + C · A        with A = 0 wherever the attention is below 1/512

A method without attention adds its upsampled residual y - x instead. One that draws by a plan of the whole
run wants some frames of it first: `sampled` says which, `plan` looks at them, and the plan goes into each
call. The bundle's segmentor sees frames at a size of its own; its map is brought back to full size.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.library import Library
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.bundle.bundle import Bundle, BundleInfo, open_bundle
from casgan_dicom.model.bundle.identity import segmentor_identity, translation_identity
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE, SIZE_STEP
from casgan_dicom.model.data.normalisation import Levels, measure_levels, to_network
from casgan_dicom.model.data.square import from_square, to_square
from casgan_dicom.model.devices import choose_device
from casgan_dicom.model.domain.judge import DomainJudge, Likeness
from casgan_dicom.model.domain.view import SIDE
from casgan_dicom.model.drawing import UNTOUCHED, Drawer, Engine, FrameByFrame, Frames, Synthesis
from casgan_dicom.model.engines.graph import MakeGraph, MakeNet, one_frame
from casgan_dicom.model.methods.atlas_reader import Reader
from casgan_dicom.model.methods.plain_atlas import LIBRARY_NAME, plain_drawer
from casgan_dicom.model.methods.registry import may_draw_by_plan, method_class
from casgan_dicom.model.networks.reading_shapes import FINE, GRID, SEEN, TOLD

if TYPE_CHECKING:
    from torch import nn

__all__ = ["UNTOUCHED", "Engine", "EngineName", "Generator", "Synthesis"]

EngineName = Literal["auto", "torch", "openvino"]


MakeEngine = Callable[[MakeNet, int, str], Engine]
"""Puts a network on an engine, for frames of so many rows and columns; the text is the network's identity."""
_COARSE = 11 / 16
"""Share of the segmentor's size at which wide vessels are found."""


class Generator:
    """A bundle on an engine.

    Use `load`; the constructor takes the parts, for tests and for other engines. `engine` runs networks that
    draw frame by frame; a `drawer` draws instead of them. `make_engine` puts the segmentor on an engine when
    it is first asked for; without it that is torch on the CPU.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine | None = None,
        *,
        drawer: Drawer | None = None,
        make_engine: MakeEngine | None = None,
        make_graph: MakeGraph | None = None,
        batch: int | None = None,
    ) -> None:
        self.info: BundleInfo = bundle.info
        self._normalisation = bundle.normalisation
        if drawer is None:
            if engine is None:
                raise ValueError("a generator needs an engine or a drawer")
            drawer = FrameByFrame(engine, bundle.info.size, self._normalisation)
        self._drawer: Drawer = drawer
        self.batch = batch or drawer.batch
        self._bundle = bundle
        self._make_engine = make_engine or _engine_maker("torch", "cpu")
        self._make_graph = make_graph or _graph_maker("torch")
        self._vessel_engines: dict[int, Engine] = {}

    @classmethod
    def load(
        cls, bundle: str | Path = DEFAULT_BUNDLE, *, device: str = "auto", engine: EngineName = "auto"
    ) -> Generator:
        """Load a shipped bundle by name or any bundle by its folder.

        Parameters
        ----------
        bundle
            Name or folder.
        device
            "auto" (CUDA when there is one), "cpu", "cuda" or "cuda:N".
        engine
            "torch", "openvino" (CPU only), or "auto": OpenVINO on the CPU when it is installed.

        Raises
        ------
        WeightsError
            The bundle is unknown, damaged or of another schema.
        ConfigError
            The device or the engine is not there.
        """
        chosen_device = choose_device(device)
        chosen_engine = _choose_engine(engine, chosen_device)
        opened = open_bundle(bundle)
        make, graph = _engine_maker(chosen_engine, chosen_device), _graph_maker(chosen_engine)
        drawer = _drawer_of(opened, graph, chosen_device)
        if drawer is not None:
            if engine == "openvino" and not drawer.name.startswith(engine):
                raise ConfigError(f"method '{opened.method}' runs on torch only", hint="use --engine auto")
            return cls(opened, drawer=drawer, make_engine=make, make_graph=graph)
        identity = translation_identity(opened, "translation")
        translate = make(partial(_built, "translation_net", opened), opened.info.size, identity)
        return cls(opened, translate, make_engine=make, make_graph=graph)

    @property
    def engine(self) -> str:
        """What runs the networks, with its precision."""
        return self._drawer.name

    @property
    def device(self) -> str:
        """Where they run."""
        return self._drawer.device

    def measure(self, frames: Iterable[Frames]) -> Levels:
        """Measure a series' levels, in one pass and constant memory; display values in [0, 1]."""
        return measure_levels(frames, self._normalisation)

    def sampled(self, frames: int) -> tuple[int, ...]:
        """Which frames of a run of so many `plan` wants to see, from 0 and rising; none: it plans nothing."""
        return self._drawer.sampled(frames)

    def plan(
        self, frames: npt.NDArray[np.floating], numbers: Sequence[int], context: RunContext
    ) -> RunPlan | None:
        """Decide once what is drawn over a whole run.

        Parameters
        ----------
        frames
            Floating point (T, H, W), display values in [0, 1]: those frames that `sampled` named, or some of
            them. A reduced size does, if `context` speaks of the same.
        numbers
            Their places in the run, from 0 and rising.
        context
            What else is known of the run.

        Returns
        -------
        RunPlan or None
            None for a method that draws frame by frame.

        Raises
        ------
        ValueError
            `frames` is of another shape or type, or not as many as `numbers`.
        """
        frames = _checked(frames)
        if len(numbers) != len(frames):
            raise ValueError(f"{len(frames)} frames need as many numbers, got {len(numbers)}")
        return self._drawer.plan(frames, numbers, context)

    def __call__(
        self,
        frames: npt.NDArray[np.floating],
        levels: Levels | None = None,
        plan: RunPlan | None = None,
        numbers: Sequence[int] | None = None,
    ) -> Synthesis:
        """Draw synthetic vessels over frames without contrast; for research, not for diagnosis.

        Parameters
        ----------
        frames
            Floating point (T, H, W), display values in [0, 1], as a viewer shows them: bone and contrast
            dark, air bright. Any T, H and W from 1.
        levels
            Of the whole series, from `measure`; None measures them on `frames`. Frames of one series that are
            given in several calls need the same levels, else their brightness differs.
        plan
            Of the whole run, from `plan`; None makes one of `frames`, as if they were the run and nothing
            else were known of it. Frames of one run that are given in several calls need the same plan.
        numbers
            Places of `frames` in the planned run, from 0; None where they are its first.

        Returns
        -------
        Synthesis
            The synthetic frames, and where they were drawn: float32, the shape of `frames`.

        Raises
        ------
        ValueError
            `frames` is of another shape or type, or holds values outside [0, 1] or NaN; `numbers` are not as
            many, or leave the run.
        """
        frames = _checked(frames)
        levels = levels or self.measure(frames)
        if plan is None:
            plan, numbers = self._plan_of(frames), None
        places = tuple(range(len(frames)) if numbers is None else numbers)
        _check_places(places, len(frames), plan)
        parts = [
            self._drawer.draw(frames[i : i + self.batch], levels, plan, places[i : i + self.batch])
            for i in range(0, len(frames), self.batch)
        ]
        attention = [part.attention for part in parts if part.attention is not None]
        vessels = [part.vessels for part in parts if part.vessels is not None]
        return Synthesis(
            np.concatenate([part.frames for part in parts]),
            np.concatenate(attention) if attention else None,
            np.concatenate([part.out_of_range for part in parts if part.out_of_range is not None]),
            np.concatenate(vessels) if vessels else None,
        )

    def vessels(
        self, frames: npt.NDArray[np.floating], levels: Levels | None = None, *, twice: bool = False
    ) -> Frames:
        """Say where vessels that hold contrast are seen, by the bundle's segmentor.

        Parameters
        ----------
        frames
            Floating point (T, H, W), display values in [0, 1]; real or synthetic.
        levels
            Of the whole series, from `measure`; None measures them on `frames`.
        twice
            Look at a reduced size, too, and say the higher probability: of vessels that are wider than those
            it was trained on it sees more there. Takes half as long again. For frames that are filled; what
            the check for contrast is fitted to is the single look.

        Returns
        -------
        float32 (T, H, W)
            Probability in [0, 1]. It was trained on the simulator's vessels only: catheters, wires and clips
            may be taken for vessels.

        Raises
        ------
        ValueError
            `frames` is of another shape or type, or holds values outside [0, 1] or NaN.
        """
        frames = _checked(frames)
        levels = levels or self.measure(frames)
        found = np.zeros(frames.shape, dtype=np.float32)
        fine = self.info.segmentor_size or self.info.size
        for size in (fine, round(_COARSE * fine / SIZE_STEP) * SIZE_STEP) if twice else (fine,):
            engine = self._vessel_engine(size)
            for i in range(0, len(frames), engine.batch):
                part = slice(i, i + engine.batch)
                x = to_network(to_square(frames[part], size), levels, self._normalisation)
                maps = from_square(engine(x[:, None])[0][:, 0], (frames.shape[1], frames.shape[2]))
                np.maximum(found[part], np.clip(maps, 0, 1), out=found[part])
        return found

    def judge(self, frames: Sequence[Frames]) -> Likeness | None:
        """Say how far frames of one run are from what the bundle was trained on.

        Parameters
        ----------
        frames
            Display values in [0, 1], each (H, W); a reduced size does.

        Returns
        -------
        Likeness or None
            None where the bundle knows nothing of the kind of its training frames.
        """
        return None if self._domain is None else self._domain(frames)

    def engaged(self, frames: Frames, trees: npt.NDArray[np.bool_]) -> float | None:
        """Say whether the catheter in frames of one run lies in the artery of a tree.

        Parameters
        ----------
        frames
            Display values in [0, 1], (T, H, W); a reduced size does.
        trees
            The vessels of that artery where they would be in each frame, bool (T, H, W).

        Returns
        -------
        float or None
            Above 0 it is seen in that artery; below, it lies elsewhere or is not seen. None where the bundle
            cannot tell.

        Raises
        ------
        ValueError
            There is no frame, or not as many trees.
        """
        judge = self._bundle.engagement
        return None if judge is None else judge(frames, trees)

    def _plan_of(self, frames: Frames) -> RunPlan | None:
        """The plan of frames that are a run by themselves."""
        wanted = self.sampled(len(frames))
        if not wanted:
            return None
        return self._drawer.plan(frames[list(wanted)], wanted, RunContext(frames=len(frames)))

    def _vessel_engine(self, size: int) -> Engine:
        """The segmentor for frames of so many rows and columns, made when it is first asked for."""
        if size not in self._vessel_engines:
            self._vessel_engines[size] = self._make_engine(
                partial(_built, "vessel_net", self._bundle), size, segmentor_identity(self._bundle, "vessels")
            )
        return self._vessel_engines[size]

    @cached_property
    def _domain(self) -> DomainJudge | None:
        """Who knows the kind of the training frames, made when it is first asked."""
        if self._bundle.domain is None:
            return None
        graph = self._make_graph(
            partial(_built, "encoder_net", self._bundle),
            one_frame(SIDE),
            segmentor_identity(self._bundle, "encoder"),
        )
        return DomainJudge(
            lambda pictures: graph(pictures[:, None])[0].astype(np.float64), self._bundle.domain
        )


def draws_by_plan(bundle: Bundle) -> bool:
    """Whether more than its networks draws: a graph of them would draw something else."""
    return _drawer_of(bundle, _graph_maker("torch"), "cpu") is not None


def _drawer_of(bundle: Bundle, make_graph: MakeGraph, device: str) -> Drawer | None:
    """Who draws over whole runs; None where each frame is drawn by itself."""
    if bundle.method == "atlas":
        return plain_drawer(_reader(bundle, make_graph), Library.from_arrays(bundle.arrays(LIBRARY_NAME)))
    if not may_draw_by_plan(bundle.method):
        return None
    drawer = method_class(bundle.method).drawer
    return drawer(bundle.generators, bundle.settings, bundle.extra, device)


def _reader(bundle: Bundle, make_graph: MakeGraph) -> Reader:
    """The networks of the atlas, which see a few frames of a run and stay on the processor."""
    tip, pose = (partial(_built, name, bundle) for name in ("tip_net", "pose_net"))
    return Reader(
        make_graph(tip, 2 * one_frame(FINE), translation_identity(bundle, "tip")),
        make_graph(pose, ((SEEN, GRID, GRID), (TOLD,)), translation_identity(bundle, "pose")),
    )


def _built(name: str, bundle: Bundle) -> nn.Module:
    """The network of a bundle that a function of ``bundle/deployed.py`` makes."""
    from casgan_dicom.model.bundle import deployed  # noqa: PLC0415 - torch, where nothing is kept compiled

    net: nn.Module = getattr(deployed, name)(bundle)
    return net


def _engine_maker(engine: str, device: str) -> MakeEngine:
    if engine == "torch":
        from casgan_dicom.model.engines.torch_engine import TorchEngine  # noqa: PLC0415 - the other needs no torch

        return lambda make_net, _size, _identity: TorchEngine(make_net(), device=device)
    from casgan_dicom.model.engines.openvino_engine import OpenVinoEngine  # noqa: PLC0415 - an optional extra

    return OpenVinoEngine


def _graph_maker(engine: str) -> MakeGraph:
    if engine == "torch":
        from casgan_dicom.model.engines.torch_engine import torch_graph  # noqa: PLC0415 - the other needs no torch

        return torch_graph
    from casgan_dicom.model.engines.openvino_engine import openvino_graph  # noqa: PLC0415 - an optional extra

    return openvino_graph


def _choose_engine(engine: str, device: str) -> str:
    installed = importlib.util.find_spec("openvino") is not None
    if engine == "auto":
        return "openvino" if device == "cpu" and installed else "torch"
    if engine not in ("torch", "openvino"):
        raise ConfigError(f"engine '{engine}' is unknown", hint="auto, torch or openvino")
    if engine == "openvino" and not installed:
        raise ConfigError(
            "engine 'openvino' is not installed",
            hint="install the extra 'openvino': pip install '.[openvino]' in the clone",
        )
    if engine == "openvino" and device != "cpu":
        raise ConfigError(f"engine 'openvino' runs on the CPU, not on '{device}'", hint="use --device cpu")
    return engine


def _check_places(places: Sequence[int], frames: int, plan: RunPlan | None) -> None:
    """Raise ValueError unless every frame has its place in the run that was planned."""
    if len(places) != frames:
        raise ValueError(f"{frames} frames need as many numbers, got {len(places)}")
    if plan is None or plan.refused:
        return
    run = len(plan.contraction)
    if min(places) < 0 or max(places) >= run:
        raise ValueError(f"numbers {min(places)} to {max(places)} leave the planned run of {run} frames")


def _checked(frames: npt.NDArray[np.floating]) -> Frames:
    """`frames` as float32; raises ValueError where they are no display frames."""
    if not isinstance(frames, np.ndarray):
        raise ValueError(f"frames need to be a numpy array (T, H, W), got {type(frames).__name__}")
    if frames.ndim != 3 or 0 in frames.shape:
        single = "; a single frame is frames[None]" if frames.ndim == 2 else ""
        raise ValueError(f"frames need shape (T, H, W), got {frames.shape}{single}")
    if not np.issubdtype(frames.dtype, np.floating):
        raise ValueError(
            f"frames need display values in [0, 1] of a floating-point type, got {frames.dtype}; stored "
            "values are divided by the largest one possible, and inverted where they are MONOCHROME1"
        )
    low, high = float(frames.min()), float(frames.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"frames need display values in [0, 1], got {low} to {high}")
    return frames.astype(np.float32, copy=False)
