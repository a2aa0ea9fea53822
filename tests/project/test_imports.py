"""What package and command line load before they have anything to do: nothing that takes a second."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "SimpleITK", "pydicom", "highdicom", "scipy", "openvino"}

_PROBE = """
import sys
from casgan_dicom.cli import main
sys.argv = {argv!r}
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("LOADED", *sorted({{name.split(".")[0] for name in sys.modules}}))
"""


def loaded_after(*arguments: str) -> set[str]:
    """Top-level modules that are loaded once casgan-dicom has run with these arguments."""
    code = _PROBE.format(argv=["casgan-dicom", *arguments])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("arguments", [["-h"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_after(*arguments)

    assert "click" in loaded  # the probe sees what is loaded
    assert not loaded & HEAVY


def test_help_of_convert_loads_no_torch() -> None:
    loaded = loaded_after("convert", "-h")

    assert "pydicom" in loaded
    assert not loaded & {"torch", "SimpleITK", "openvino"}


@pytest.mark.parametrize("code", ["import casgan_dicom", "from casgan_dicom import CasganError, __version__"])
def test_the_import_alone_loads_nothing_heavy(code: str) -> None:
    probe = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert "casgan_dicom" in done.stdout.split()
    assert not set(done.stdout.split()) & (HEAVY | {"numpy", "click"})
