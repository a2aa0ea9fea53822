"""What all tests share: where the real files lie, no deadlines, a fake archive and a real Orthanc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.fake_pacs import FakePacs
from tests.support.namespace import need_namespace
from tests.support.orthanc import Orthanc
from tests.support.postgres import Postgres, running_postgres
from tests.support.tiers import Measurement, is_slow, slow_names

os.environ["CASGAN_CACHE"] = "no"  # what one test compiles is nothing to another
# A busy machine is no fault of the code: speed is measured by the benchmarks, never in a test.
settings.register_profile("any-speed", deadline=None)
settings.load_profile("any-speed")


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """A command of a node closes to others what its process writes from then on; not for the next test."""
    before = os.umask(0o077)
    os.umask(before)
    yield
    os.umask(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --soak, which `make soak` gives, and --measure-tiers."""
    parser.addoption("--soak", action="store_true", help="the long form of the tests that have one")
    parser.addoption("--measure-tiers", action="store_true", help="write the list of slow tests again")


def pytest_configure(config: pytest.Config) -> None:
    """Measure where that is asked for; with several workers, in the process that hears of all tests."""
    if config.getoption("--measure-tiers") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Measurement(), "measurement")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are on the list of slow ones."""
    names = slow_names()
    for item in items:
        if is_slow(item.nodeid, names):
            item.add_marker("slow")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked orthanc outside a network namespace, before its fixtures start anything."""
    if item.get_closest_marker("orthanc"):
        need_namespace()


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether to run the long form."""
    return bool(pytestconfig.getoption("--soak"))


@pytest.fixture
def pacs() -> Iterator[FakePacs]:
    """An archive of our own that stores everything, until a test tells it otherwise."""
    with FakePacs() as running:
        yield running


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """A stock Orthanc that holds nothing; the test has to be marked orthanc."""
    with Orthanc.stock(tmp_path / "orthanc") as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests that a process runs; what each keeps there is its own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real files: CASGAN_TEST_DATA, or shared/data beside the repository; skips where absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CASGAN_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("no real files: set CASGAN_TEST_DATA to the folder that holds xa/ and ct/")
    return folder


@pytest.fixture(scope="session")
def cases(real_data: Path) -> Path:
    """Folder of small files that stand for situations people reported; skips where absent."""
    folder = real_data / "cases"
    if not folder.is_dir():
        pytest.skip("no cases in the test data")
    return folder


@pytest.fixture(scope="session")
def real_xa(real_data: Path) -> Path:
    """Folder of the real XA files; skips where absent."""
    folder = real_data / "xa"
    if not folder.is_dir():
        pytest.skip("no real XA files in the test data")
    return folder
