"""Each engine beside the same networks in eager float32 torch, as ratios from one run.

Random weights: time does not depend on them, the deviation does (see the parity tests for trained ones).
Run it as ``python tests/bench/bench_engines.py`` on an idle machine: under load torch's threads wait for each
other, and times and ratios mean little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from casgan_dicom.model.bundle.bundle import Bundle, load_bundle
from casgan_dicom.model.bundle.deployed import TranslationNet
from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.devices import choose_device
from casgan_dicom.model.engines.graph import Precision
from casgan_dicom.model.engines.openvino_engine import OpenVinoEngine
from casgan_dicom.model.engines.torch_engine import TorchEngine
from casgan_dicom.model.generator import Engine, Generator
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.environment import device_name
from tests.bench.machine import machine

Frames = npt.NDArray[np.float32]
WIDTHS, SIZES = (16, 32, 64), (256, 512)
BUDGET_S = 240.0
"""No network starts after this much time; on a slow machine the whole run then ends within five minutes."""


@dataclass(frozen=True)
class Row:
    """One engine on one network at one size."""

    ngf: int
    size: int
    engine: str
    batch: int
    seconds: float
    """Per frame, median."""
    deviation: float
    """Mean absolute difference of the composed display values from torch in float32."""


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ngf", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--size", type=int, nargs="+", default=SIZES)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    options = parser.parse_args()
    started = time.monotonic()
    write = sys.stdout.write
    device = choose_device(options.device)
    write(
        measured_on(device) + "\n\n| ngf | size | engine | frames at once | s/frame | ratio | deviation |\n"
    )
    write("|---|---|---|---|---|---|---|\n")
    for size in options.size:
        for ngf in options.ngf:
            if time.monotonic() - started > BUDGET_S:
                write(f"| {ngf} | {size} | left out: the time is used up | | | | |\n")
                continue
            rows = measure(ngf, size, device)
            for row in rows:
                ratio = rows[0].seconds / row.seconds
                write(f"| {row.ngf} | {row.size} | {row.engine} | {row.batch} | {row.seconds:.4f} | ")
                write(f"{ratio:.2f} | {row.deviation:.1e} |\n")
            sys.stdout.flush()
    write(f"\n{time.monotonic() - started:.0f} s in all; load at the end {os.getloadavg()[0]:.1f}\n")
    return 0


def measured_on(device: str) -> str:
    """What the figures were measured on."""
    if device != "cpu":
        return f"{device_name(device)}; torch {torch.__version__}"
    return f"{machine()}, {torch.get_num_threads()} threads; torch {torch.__version__}"


def measure(ngf: int, size: int, device: str) -> list[Row]:
    """The plain networks first, then each engine; frames of `size` go to networks of `size`."""
    bundle = make_bundle(ngf, size)
    net = TranslationNet(bundle).eval()
    frames = made_up_frames(size)
    x = frames[:, None] * 2 - 1
    reference = Generator(bundle, TorchEngine(net, "cpu"))(frames).frames
    net.to(device)
    eager = median(lambda: run_eager(net, x[:1], device), 1)
    rows = [Row(ngf, size, "eager torch fp32", 1, eager, 0.0)]
    engines: list[Engine] = [TorchEngine(net, device)]
    precisions: tuple[Precision, ...] = ("f32", "auto") if device == "cpu" else ()
    engines += [OpenVinoEngine(lambda: net, size, precision=precision) for precision in precisions]
    for engine in engines:
        at_once = x.repeat(engine.batch, axis=0)[: engine.batch]
        seconds = median(lambda engine=engine, at_once=at_once: engine(at_once), len(at_once))  # type: ignore[misc]
        made = Generator(bundle, engine)(frames).frames
        deviation = float(np.abs(made - reference).mean())
        rows.append(Row(ngf, size, engine.name, len(at_once), seconds, deviation))
    return rows


def make_bundle(ngf: int, size: int) -> Bundle:
    """Networks of the shipped shape with random weights and a mostly closed attention."""
    chosen = [f"net.ngf={ngf}", "net.n_blocks=4", "segmentor.base=4", f"data.frame_size={size}"]
    settings = load_settings("casgan", "smoke", [*chosen, "description=random weights"])
    torch.manual_seed(1)
    nets = method_class(settings.method).build_generators(settings)
    attention = [p for name, p in nets["vessel"].named_parameters() if name.startswith("attention")]
    nn.init.constant_(attention[-1], -3.0)
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder), settings, nets.state_dict(), UNet(4).state_dict(), data="none")
        return load_bundle(folder)


def made_up_frames(size: int) -> Frames:
    """Two smooth frames with noise and a flat border, as a collimator leaves one."""
    rng = np.random.default_rng(1)
    row, column = np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing="ij")
    picture = 0.55 + 0.25 * np.sin(6 * row) * np.cos(4 * column)
    frames = np.stack([picture + rng.normal(0, 0.02, picture.shape) for _ in range(2)])
    frames[:, : size // 8] = frames[:, :, : size // 8] = 0.05
    return np.clip(frames, 0, 1).astype(np.float32)


@torch.inference_mode()
def run_eager(net: nn.Module, x: Frames, device: str) -> list[Tensor | None]:
    """What a reference implementation does: the module, in float32, as it is; maps on the CPU."""
    maps: tuple[Tensor, Tensor | None] = net(torch.from_numpy(x).to(device))
    return [None if found is None else found.cpu() for found in maps]


def median(run: Callable[[], object], frames: int) -> float:
    """Median seconds per frame of warm runs: nine, down to two where one takes long."""
    began = time.perf_counter()
    run()
    first = time.perf_counter() - began
    times = []
    for _ in range(max(2, min(9, int(1.5 / first)))):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) / frames)
    return statistics.median(times)


if __name__ == "__main__":
    raise SystemExit(main())
