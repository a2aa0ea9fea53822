"""Runs the generator's networks with OpenVINO on the CPU: bf16 where the processor has it, else float32.

The torch module is traced and handed to OpenVINO's PyTorch front end in memory. What is compiled of it is
kept for the next start where the caller says what it depends on (``compiled_cache.py``). The shape is fixed
at one frame. Frames of a batch go to as many parallel streams as OpenVINO finds best for the processor:
measured on two cores, that is as fast as one request of four frames when the machine is idle and faster when
it is not, and a batch of any length fits without padding.

In float32 each InstanceNorm is taken apart. OpenVINO's own (MVN) adds up a whole map in one float32 sum,
and in flat regions, such as the collimator's, the rounding errors of equal values add up too: 2.6e-4 of
the drawn map on a real run, against 2.7e-6 for means over rows and then over columns, at the same speed.

Nothing phones home. Importing `openvino` and calling its `convert_model` both report usage through
`openvino_telemetry` unless the user opted out in a file of the home directory; here that package is hidden
while openvino is imported for the first time, and `convert_model` is not used.
"""

from __future__ import annotations

import copy
import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from casgan_dicom import __version__
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.engines.compiled_cache import forget, keep, kept
from casgan_dicom.model.engines.torch_engine import Maps
from casgan_dicom.model.engines.traced import TensorsOnly, traced_module

Precision = Literal["auto", "f32", "bf16"]
_TELEMETRY = "openvino_telemetry"
_GRAPH_ROOMS = ("bundle", "engines", "methods", "networks")
"""Folders of `model` whose code makes graphs of weights."""


class OpenVinoEngine:
    """The fast engine on the CPU.

    Parameters
    ----------
    net
        Maps x float32 (1, 1, S, S) to (drawn, attention or None), both (1, 1, S, S).
    size
        S, rows and columns.
    identity
        Everything that the values of `net` depend on, so that it may be kept compiled; empty: it is not kept.
    precision
        "auto": bf16 where OpenVINO lists BF16 among the processor's capabilities (AMX or AVX512-BF16), else
        f32.

    Raises
    ------
    ConfigError
        `precision` is "bf16" and the processor has none.
    """

    device = "cpu"

    def __init__(
        self, net: nn.Module, size: int, identity: str = "", *, precision: Precision = "auto"
    ) -> None:
        ov, core = import_openvino(), openvino_core()
        chosen = _choose_precision(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), precision)
        properties = {
            "INFERENCE_PRECISION_HINT": chosen,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # so that OMP_NUM_THREADS holds here too
        }
        facts = _facts(identity, size, properties) if identity else None
        compiled = None if facts is None else _kept(facts, properties)
        if compiled is None:
            model = convert(with_staged_norms(net) if chosen == "f32" else net, size)
            compiled = core.compile_model(model, "CPU", properties)
            if facts is not None:
                _keep(facts, compiled)
        self.name = f"openvino-{chosen}"
        self.batch = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._outputs = len(compiled.outputs)
        self._queue = ov.AsyncInferQueue(compiled, self.batch)
        self._queue.set_callback(_collect)

    def __call__(self, x: npt.NDArray[np.float32]) -> Maps:
        """Predict the maps of x, float32 (B, 1, S, S) in network values, any B."""
        maps = [np.empty(x.shape, dtype=np.float32) for _ in range(self._outputs)]
        for index in range(len(x)):
            self._queue.start_async({0: x[index : index + 1]}, (maps, index))
        self._queue.wait_all()
        return maps[0], maps[1] if self._outputs == 2 else None


def _facts(identity: str, size: int, properties: Mapping[str, object]) -> dict[str, object]:
    """All that a compiled network depends on."""
    core = openvino_core()
    return {
        "network": identity,
        "size": size,
        "properties": dict(properties),
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "instructions": _instructions(),
        "openvino": import_openvino().get_version(),
        "torch": torch.__version__,
        "package": __version__,
        "code": _code_sha256(),
    }


@lru_cache(maxsize=1)
def _instructions() -> list[str]:
    """What the processor can do, as Linux says it; empty where it does not. Two of one name may differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return next((sorted(line.split()) for line in lines if line.startswith("flags")), [])


@lru_cache(maxsize=1)
def _code_sha256() -> str:
    """SHA-256 of the code that makes graphs: in a clone it changes, and the version stays."""
    model = Path(__file__).parents[1]
    files = sorted(file for room in _GRAPH_ROOMS for file in (model / room).rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _kept(facts: Mapping[str, object], properties: Mapping[str, object]) -> Any:  # noqa: ANN401 - openvino.CompiledModel
    """The compiled network of an earlier start; None where there is none that OpenVINO takes."""
    content = kept(facts)
    if content is None:
        return None
    try:
        return openvino_core().import_model(content, "CPU", dict(properties))
    except RuntimeError:  # what OpenVINO throws, whatever is wrong
        forget(facts)
        return None


def _keep(facts: Mapping[str, object], compiled: Any) -> None:  # noqa: ANN401 - openvino.CompiledModel
    """Keep a compiled network, if OpenVINO gives it away."""
    with suppress(RuntimeError):
        keep(facts, compiled.export_model().getvalue())


class _StagedNorm(nn.Module):
    """InstanceNorm whose means run over rows first, then over columns."""

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        centred = x - _staged_mean(x)
        normed = centred * torch.rsqrt(_staged_mean(centred * centred) + self.eps)
        if self.weight is None:  # not affine
            return normed
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


def _staged_mean(x: Tensor) -> Tensor:
    return x.mean(3, keepdim=True).mean(2, keepdim=True)


def with_staged_norms(net: nn.Module) -> nn.Module:
    """Copy `net`, every InstanceNorm2d replaced by its staged equal, which OpenVINO sums well in float32.

    One that tracks running statistics stays: it takes no means.
    """
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.InstanceNorm2d) and not child.track_running_stats:
                setattr(parent, name, _StagedNorm(child))
    return net


def import_openvino() -> ModuleType:
    """Import openvino without its telemetry; a no-op where the process holds openvino already."""
    with _hidden(_TELEMETRY):
        import openvino  # noqa: PLC0415 - an optional extra
    module: ModuleType = openvino
    return module


@lru_cache(maxsize=1)
def openvino_core() -> Any:  # noqa: ANN401 - openvino.Core, known only where it is installed
    """Make one Core for the life of the process.

    The CPU plug-in gives the thread that makes it a signal stack of its own, and frees that memory with the
    Core. Where several Cores come and go, the stack that is left may be one that was freed: the next signal
    with a handler, Ctrl-C for example, then ends the process by SIGSEGV.
    """
    return import_openvino().Core()


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Make `import name` fail inside the block, as if it were not installed; openvino then takes its stub."""
    if name in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules[name] = None  # Python's own mark of a module that cannot be imported
    try:
        yield
    finally:
        del modules[name]


def _choose_precision(capabilities: list[str], precision: Precision) -> str:
    if precision == "bf16" and "BF16" not in capabilities:
        raise ConfigError(
            f"engine 'openvino' in bf16: this processor offers {', '.join(capabilities)}, want BF16",
            hint="precision 'auto' takes f32 here",
        )
    if precision == "auto":
        return "bf16" if "BF16" in capabilities else "f32"
    return precision


def convert(net: nn.Module, size: int) -> Any:  # noqa: ANN401 - openvino.Model, known only where it is installed
    """Trace `net` at (1, 1, size, size) and convert the graph to an openvino.Model of that shape."""
    from openvino.frontend import FrontEndManager  # noqa: PLC0415 - an optional extra
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    traced = traced_module(TensorsOnly(net), size)
    decoder = TorchScriptPythonDecoder(traced, shared_memory=False)
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    model.reshape([1, 1, size, size])
    return model


def _collect(request: Any, place: tuple[list[npt.NDArray[np.float32]], int]) -> None:  # noqa: ANN401 - InferRequest
    maps, index = place
    for output, target in enumerate(maps):
        target[index] = request.get_output_tensor(output).data[0]
