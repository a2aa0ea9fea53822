"""A second start on OpenVINO finds its networks compiled, and loads no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.factories import moving_frames, write_xa

pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")

CONVERT = """
import sys
from casgan_dicom.cli import main

try:
    main()
except SystemExit as ended:
    print("ended", ended.code, "with torch" if "torch" in sys.modules else "without torch")
"""
ROOT = Path(__file__).parents[2]


def converted(source: Path, out: Path, *options: str) -> tuple[str, list[bytes]]:
    """How a conversion in a process of its own ended, and the pictures it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", CONVERT, "convert", source, "--out", out, "--force", *options],
        cwd=ROOT,
        env=os.environ | {"CASGAN_CACHE": str(out.parent / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1], [path.read_bytes() for path in sorted(out.glob("*.png"))]


@pytest.mark.parametrize("bundle", ["atlas", "casgan"])
def test_a_second_start_loads_no_torch_and_draws_the_same(bundle: str, tmp_path: Path) -> None:
    """Whatever the forms, the default bundle and one that draws frame by frame."""
    source = write_xa(tmp_path / "run.dcm", moving_frames(6))
    forms = ("--bundle", bundle, "--seg", "--sr", "--maps", "--preview", "--engine", "openvino", "--json")

    first, drawn = converted(source, tmp_path / "first", *forms)
    second, again = converted(source, tmp_path / "second", *forms)

    assert (first, second) == ("ended 0 with torch", "ended 0 without torch")
    assert drawn == again
