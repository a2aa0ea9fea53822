"""One process of bench_convert: the generator alone, then conversions of the same run; prints JSON.

It uses nothing but what earlier revisions have, too: their package may be the one that is imported.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import casgan_dicom
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.series import find_series


def main() -> None:
    """`SOURCE BUNDLE ENGINE REPEATS`."""
    source, bundle, engine, repeats = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    generator = casgan_dicom.Generator.load(bundle, engine=engine)  # type: ignore[arg-type]
    (series,) = find_series([source]).series
    cine = series.cines[0]
    display = Display.of(cine)
    frames = np.stack([display.apply(k, stored) for k, stored in enumerate(iter_frames(cine))])
    levels = generator.measure(frames)
    generator(frames[: generator.batch], levels)  # what happens once is not measured
    generator.vessels(frames[: generator.batch], levels)
    drawing = _drawing(generator, frames, levels)
    alone, on_one, whole, reports = [], [], [], []
    for _ in range(repeats):
        used, started = time.process_time(), time.perf_counter()
        generator(frames, levels)
        alone.append(time.perf_counter() - started)
        on_one.append(time.process_time() - used)
        with tempfile.TemporaryDirectory() as out:
            used, started = _processor_seconds(), time.perf_counter()
            report = casgan_dicom.convert(source, out=out, bundle=generator)
            seconds = time.perf_counter() - started
            whole.append((seconds, (_processor_seconds() - used) / seconds))
        spent = report.outputs[0].seconds
        reports.append({"measure": spent.measure, "check": spent.check, "plan": spent.plan})
    middle = sorted(range(repeats), key=lambda k: whole[k][0])[repeats // 2]
    json.dump(
        {
            "engine": f"{generator.engine} on {generator.device}",
            "alone": float(np.median(alone)),
            "on one": float(np.median(on_one)),
            "drawing": drawing,
            "whole": whole[middle][0],
            "cores": whole[middle][1],
            **reports[middle],
        },
        sys.stdout,
    )


def _drawing(generator: casgan_dicom.Generator, frames: Any, levels: Any) -> float:  # noqa: ANN401 - of any revision
    """Processor seconds a frame of drawing alone, once the plan of the run is made; NaN without plans."""
    if not (numbers := generator.sampled(len(frames))):
        return float("nan")
    plan = generator.plan(frames[list(numbers)], numbers, RunContext(frames=len(frames)))
    used = time.process_time()
    generator(frames, levels, plan)
    return (time.process_time() - used) / len(frames)


def _processor_seconds() -> float:
    """Of this process and the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
