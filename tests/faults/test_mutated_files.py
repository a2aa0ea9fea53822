"""Files made wrong in every way: they are converted rightly or refused in words, and nothing else happens.

The conversions run in processes of their own, so that a decoder that crashes is seen, with the case that it
was at. A case is repeated by its seed: `python -m tests.faults.mutated_cases FOLDER SEED SEED`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.file_mutations import write_good_files

ROOT = Path(__file__).resolve().parents[2]
BATCH = 250
PATIENCE_SECONDS = 1800.0


def run_cases(good: Path, first: int, last: int) -> list[dict[str, Any]]:
    """What became of the cases `first` to `last`; a process that dies is begun again after the case."""
    results: list[dict[str, Any]] = []
    while first <= last:
        command = [sys.executable, "-m", "tests.faults.mutated_cases", str(good), str(first), str(last)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        child = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=PATIENCE_SECONDS, check=False
        )
        lines = [json.loads(line) for line in child.stdout.splitlines()]
        results += [line for line in lines if "faults" in line]
        if child.returncode == 0:
            break
        begun = lines[-1] if lines and "faults" not in lines[-1] else None
        assert begun is not None, child.stderr[-2000:].decode(errors="replace")
        results.append(begun | {"outcome": "crash", "faults": [f"the process ended with {child.returncode}"]})
        first = int(begun["seed"]) + 1
    return results


def test_every_mutated_file_is_converted_rightly_or_refused_in_words(tmp_path: Path, soak: bool) -> None:
    cases = 10_000 if soak else 500
    write_good_files(tmp_path / "good")

    with ThreadPoolExecutor(2) as pool:
        batches = pool.map(
            lambda first: run_cases(tmp_path / "good", first, min(first + BATCH, cases) - 1),
            range(0, cases, BATCH),
        )
        results = [result for batch in batches for result in batch]

    outcomes = Counter(result["outcome"] for result in results)
    faults = [f"{each['seed']} {each['case']}: {each['faults']}" for each in results if each["faults"]]
    sys.stdout.write(
        f"\n{len(results)} mutated files: {dict(outcomes)}; at most {max(r['mebibytes'] for r in results)}"
        f" MiB more, {max(r['seconds'] for r in results):.1f} s\n"
    )
    assert [result["seed"] for result in results] == list(range(cases))
    assert not faults, "\n".join(faults)
    # The test would be worth nothing if all files were refused, or all converted.
    assert min(outcomes["converted"], outcomes["refused"], outcomes["error"]) > cases / 100
