"""What all tests share: where the real files lie, and no deadlines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no fault of the code: speed is measured by the benchmarks, never in a test.
settings.register_profile("any-speed", deadline=None)
settings.load_profile("any-speed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real files: CASGAN_TEST_DATA, or shared/data beside the repository; skips where absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CASGAN_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("no real files: set CASGAN_TEST_DATA to the folder that holds xa/ and ct/")
    return folder


@pytest.fixture(scope="session")
def real_xa(real_data: Path) -> Path:
    """Folder of the real XA files; skips where absent."""
    folder = real_data / "xa"
    if not folder.is_dir():
        pytest.skip("no real XA files in the test data")
    return folder
