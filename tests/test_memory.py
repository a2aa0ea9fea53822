"""Memory that is freed goes back to the system, whatever small thing lies behind it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

KEEPS = """
import sys
from pathlib import Path
import numpy as np
from casgan_dicom.memory import give_back_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

if sys.argv[1] == "give back":
    assert give_back_memory()
np.ones(2**23, np.uint8)  # freed at once: from here on glibc takes such arrays out of its heap
before = resident()
large = [np.ones(2**23 - 4096, np.uint8) for _ in range(20)]
behind = [np.ones(1000, np.uint8) for _ in range(1000)]
large.clear()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_arrays_that_were_freed_are_given_back() -> None:
    kept, given_back = (
        float(subprocess.run([sys.executable, "-c", KEEPS, how], stdout=subprocess.PIPE, check=True).stdout)
        for how in ("keep", "give back")
    )

    assert given_back < 40  # MiB, of 160
    assert given_back < kept
