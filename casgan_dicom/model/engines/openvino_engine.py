"""Runs networks with OpenVINO on the CPU: bf16 where the processor has it, else float32.

A network is built and converted (``openvino_model.py``) only where it is not kept compiled from an earlier
start (``compiled_cache.py``): then this needs no torch. The shape is fixed at one frame. Frames of a batch
go to as many parallel streams as OpenVINO finds best for the processor: measured on two cores, that is as
fast as one request of four frames when the machine is idle and faster when it is not, and a batch of any
length fits without padding.

Nothing phones home. Importing `openvino` reports usage through `openvino_telemetry` unless the user opted out
in a file of the home directory; here that package is hidden while openvino is imported for the first time.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom import __version__
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.engines.compiled_cache import forget, keep, kept
from casgan_dicom.model.engines.graph import Arrays, MakeNet, Maps, Precision, Shapes, one_frame
from casgan_dicom.threads import processors, threads_told

_TELEMETRY = "openvino_telemetry"
_GRAPH_CODE = ("bundle", "domain", "engines", "methods", "networks", "settings.py")
"""What in `model` makes graphs of weights."""


class OpenVinoGraph:
    """The fast engine on the CPU.

    Parameters
    ----------
    make_net
        Builds the network, which maps one item of each input to a tuple of tensors or None. Not called where
        it is kept compiled.
    shapes
        Of one item of each input.
    identity
        Everything that its values depend on, so that it may be kept compiled; empty: it is not kept.
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
        self, make_net: MakeNet, shapes: Shapes, identity: str = "", *, precision: Precision = "auto"
    ) -> None:
        ov, core = import_openvino(), openvino_core()
        chosen = _choose_precision(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), precision)
        properties: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": chosen,
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        if (threads := threads_told()) is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        facts = _facts(identity, shapes, properties) if identity else None
        compiled = None if facts is None else _kept(facts, properties)
        if compiled is None:
            compiled = core.compile_model(_model(make_net, shapes, chosen), "CPU", properties)
            if facts is not None:
                _keep(facts, compiled)
        self.name = f"openvino-{chosen}"
        self.batch = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._shapes = [tuple(output.shape)[1:] for output in compiled.outputs]
        self._queue = ov.AsyncInferQueue(compiled, self.batch)
        self._queue.set_callback(_collect)

    def __call__(self, *inputs: npt.NDArray[np.float32]) -> Arrays:
        """What the network says of inputs (B, …), any B."""
        said = tuple(np.empty((len(inputs[0]), *shape), dtype=np.float32) for shape in self._shapes)
        for index in range(len(inputs[0])):
            given = {number: each[index : index + 1] for number, each in enumerate(inputs)}
            self._queue.start_async(given, (said, index))
        self._queue.wait_all()
        return said


class OpenVinoEngine:
    """A network that draws or sees vessels, on an `OpenVinoGraph`: frames of `size` rows and columns."""

    device = OpenVinoGraph.device

    def __init__(
        self, make_net: MakeNet, size: int, identity: str = "", *, precision: Precision = "auto"
    ) -> None:
        self._graph = OpenVinoGraph(make_net, one_frame(size), identity, precision=precision)
        self.name, self.batch = self._graph.name, self._graph.batch

    def __call__(self, x: npt.NDArray[np.float32]) -> Maps:
        """Predict the maps of x, float32 (B, 1, S, S) in network values, any B."""
        drawn, *attention = self._graph(x)
        return drawn, attention[0] if attention else None


def openvino_graph(make_net: MakeNet, shapes: Shapes, identity: str) -> OpenVinoGraph:
    """Put a network on OpenVINO, in float32 on every processor: what it says decides, it draws nothing."""
    return OpenVinoGraph(make_net, shapes, identity, precision="f32")


def _model(make_net: MakeNet, shapes: Shapes, precision: str) -> Any:  # noqa: ANN401 - openvino.Model
    """The network as OpenVINO compiles it."""
    from casgan_dicom.model.engines.openvino_model import convert, with_staged_norms  # noqa: PLC0415 - torch

    net = make_net()
    return convert(with_staged_norms(net) if precision == "f32" else net, shapes)


def _facts(identity: str, shapes: Shapes, properties: Mapping[str, object]) -> dict[str, object]:
    """All that a compiled network depends on."""
    core = openvino_core()
    return {
        "network": identity,
        "shapes": shapes,
        "properties": dict(properties),
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "instructions": _instructions(),
        "openvino": import_openvino().get_version(),
        "torch": version("torch"),
        "processors": processors(),
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
    parts = [Path(__file__).parents[1] / name for name in _GRAPH_CODE]
    files = sorted(file for part in parts for file in ([part] if part.is_file() else part.rglob("*.py")))
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


def _collect(request: Any, place: tuple[Arrays, int]) -> None:  # noqa: ANN401 - InferRequest
    maps, index = place
    for output, target in enumerate(maps):
        target[index] = request.get_output_tensor(output).data[0]
