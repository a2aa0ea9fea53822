"""Peak memory of `convert` on a short and a long cine, engine included, each in a process of its own.

python -m tests.bench.bench_memory [--bundle NAME_OR_FOLDER] [--engine auto] [--size 1024] [--bits 12]
                                   [--frames 100 1000] [--form default everything]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.lab.options import Bits
from casgan_dicom.memory import give_back_memory
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.generator import Generator
from casgan_dicom.pixels.compress import Compression
from tests.bench.machine import machine, row, say

AIM_MIB = 600
FORMS = {
    "default": ConvertOptions(preview=True),
    "everything": ConvertOptions(
        preview=True, bits=12, compression=Compression("j2k"), maps=True, seg=True, sr=True
    ),
}


def convert_and_say_peak(args: argparse.Namespace) -> None:
    """Convert a run, print peak resident memory in MiB and the seconds it took."""
    give_back_memory()  # as the command and the node's worker do
    with tempfile.TemporaryDirectory() as out:
        generator = Generator.load(args.bundle, engine=args.engine)
        started = time.perf_counter()
        report = convert_series([args.here], lambda: generator, FORMS[args.form[0]], Path(out))
        spent = time.perf_counter() - started
        if report.exit_code:
            raise SystemExit(f"not converted: {report.skipped}")
    # Not ru_maxrss: that starts at the peak of the process which started this one.
    status = Path("/proc/self/status").read_text()
    (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    sys.stdout.write(f"{int(kib) / 1024:.1f} {spent:.1f} {generator.engine}\n")


def simulated_run(path: Path, frames: int, size: int, bits: Bits) -> Path:
    """A simulated run of many frames, made of eight that repeat, appended to the file."""
    # Here, not above: the process that is measured needs none of it.
    from casgan_dicom.lab.simulate import simulate  # noqa: PLC0415
    from tests.support.factories import write_xa  # noqa: PLC0415

    few = simulate(3, size=size, frames=8, bits=bits).plain
    write_xa(path, few, BitsStored=bits, NumberOfFrames=frames)
    content = path.read_bytes()
    pixels = few.astype("<u2" if bits > 8 else "u1").tobytes()
    head = content[: -len(pixels)]
    assert content.endswith(pixels)
    assert head.endswith(len(pixels).to_bytes(4, "little"))  # explicit VR, one element at the end
    one = len(pixels) // len(few)
    with path.open("wb") as file:
        file.write(head[:-4] + (frames * one).to_bytes(4, "little"))
        for k in range(frames):
            file.write(pixels[k % len(few) * one : (k % len(few) + 1) * one])
    return path


def main() -> None:
    """Print the peak of each length and what the longer one adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--bits", type=int, choices=[8, 12], default=12)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--form", choices=[*FORMS], nargs="+", default=[*FORMS])
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        convert_and_say_peak(args)
        return
    say(machine())
    for form in args.form:
        peaks = [_peak_of(form, frames, args) for frames in args.frames]
        say(f"  the longest adds {peaks[-1] - peaks[0]:.1f} MiB, ratio {peaks[-1] / peaks[0]:.3f}")


def _peak_of(form: str, frames: int, args: argparse.Namespace) -> float:
    """Peak resident memory in MiB of a process that converts so many frames."""
    with tempfile.TemporaryDirectory() as name:
        source = simulated_run(Path(name) / "run", frames, args.size, args.bits)
        command = [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--form", form, "--here", str(source)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    peak, spent, engine = done.stdout.split()
    told = f"{frames} frames of {args.size}², {args.bits} bits, {form}, {engine}, {float(spent):.0f} s"
    row(told, float(peak), "MiB", f"aim < {AIM_MIB} of 1,000 frames")
    return float(peak)


if __name__ == "__main__":
    main()
