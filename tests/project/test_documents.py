"""The documents say what the code does, their links lead somewhere, and what they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from casgan_dicom.cli import COMMANDS
from docs.build import CLI_PAGE, DRAWINGS, ROOT, broken_links, draw, stale_drawings
from docs.notice import licence_of
from docs.pictures import pairs_page
from tests.support.programs import find_program

PICTURE = DRAWINGS / "how-it-works.dot"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

_NAMED = re.compile(r"`(?P<path>(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml))(?:: (?P<door>\w+))?`")
_PLACE = ("points", "d", "x", "y", "width", "height", "viewBox", "transform")
"""Attributes of SVG that hold places."""
_LOOK = ("fill", "stroke", "stroke-dasharray", "text-anchor", "font-weight", "font-size")
"""Attributes of SVG that hold none."""


def test_the_page_of_commands_is_what_the_commands_print_now() -> None:
    """In a process of its own: click keeps the help option of a command that another test called alone."""
    code = "from docs.build import cli_page; print(cli_page(), end='')"

    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert CLI_PAGE.read_text(encoding="utf-8") == told.stdout, "run make docs"


def package(metadata: str) -> Distribution:
    """An installed package of which nothing is known but this."""

    class Told(Distribution):
        def read_text(self, filename: str) -> str | None:
            return metadata if filename == "METADATA" else None

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    return Told()


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("License-Expression: MIT AND PSF-2.0\nLicense: BSD", "MIT AND PSF-2.0"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT"),
        ("License: a whole text of it\nClassifier: License :: OSI Approved :: BSD License", "BSD"),
    ],
)
def test_a_licence_is_read_where_the_metadata_say_it(lines: str, licence: str) -> None:
    assert licence_of(package(f"Name: some-package\n{lines}\n")) == licence


def test_a_package_whose_metadata_say_no_licence_stops_the_notice() -> None:
    with pytest.raises(SystemExit, match="some-package name no licence"):
        licence_of(package("Name: some-package\nLicense: UNKNOWN\n"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_commands_has_every_command(command: str) -> None:
    assert f"Usage: casgan-dicom {command} " in CLI_PAGE.read_text(encoding="utf-8")


def test_no_link_between_the_documents_is_broken() -> None:
    assert broken_links(ROOT) == []


@pytest.mark.parametrize("target", ["absent.md", "docs/absent.md", "b.md#no-such-heading", "#nowhere"])
def test_a_broken_link_is_named_with_its_page(tmp_path: Path, target: str) -> None:
    (tmp_path / "a.md").write_text(f"# A\n\n[see]({target})\n")
    (tmp_path / "b.md").write_text("# B\n")

    assert broken_links(tmp_path) == [f"a.md: {target}"]


def test_good_links_and_those_in_code_blocks_pass(tmp_path: Path) -> None:
    page = (
        "# One & two: `three`\n\n[a](#one--two-three) [b](docs/b.md#b) ![c](c.png) [d](https://a.example/b)\n"
    )
    (tmp_path / "a.md").write_text(page + "```text\n[e](absent.md)\n```\n")
    (tmp_path / "c.png").touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "b.md").write_text("# B\n\n[a](../a.md)\n")

    assert broken_links(tmp_path) == []


def test_the_picture_has_a_column_for_each_patient_and_darker_vessels_below() -> None:
    page = pairs_page((1, 4), size=64)

    assert page.shape == (132, 132)
    plain, contrast = page[:64, :64].astype(int), page[68:, :64].astype(int)
    assert (plain - contrast).max() > 20
    assert abs(np.median(plain - contrast)) <= 1


def faults_of(names: Iterable[tuple[str, str]]) -> list[str]:
    """What is wrong with paths, inside the package or the repository, and with what they shall hold."""
    found = []
    for path, door in names:
        places = [base / path for base in (ROOT / "casgan_dicom", ROOT) if (base / path).exists()]
        if not places:
            found.append(f"{path} is not there")
        elif door and not re.search(
            rf"^(?:(?:def|class) {door}\b|{door}\b[^\n]*=)", places[0].read_text("utf-8"), re.MULTILINE
        ):
            found.append(f"{path} has no {door}")
    return found


def named_on(text: str) -> list[tuple[str, str]]:
    """Path, and what to look for in it, of all that a text names."""
    return [(match["path"], match["door"] or "") for match in _NAMED.finditer(text)]


def tables_of(page: Path) -> str:
    """The tables of a page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def doors_of_the_picture() -> Iterator[tuple[str, str]]:
    """Path of each file that the picture names, and what is to be read there first."""
    text = PICTURE.read_text(encoding="utf-8")
    labels: dict[str, str] = dict(re.findall(r'^ +(\w+) +\[.*?\blabel="([^"]*)"', text, re.MULTILINE))
    for node, label in labels.items():
        if begins := re.search(r" begins in (\S+): (\w+)", label):
            yield begins[1], begins[2]
        elif label.startswith("\\n"):
            _, file, door = label.split("\\n")
            yield f"{labels[f'name_{node}']}/{file}", door


def test_the_page_of_the_architecture_names_what_is_there() -> None:
    names = named_on(ARCHITECTURE.read_text(encoding="utf-8"))

    assert len([door for _, door in names if door]) > 20
    assert faults_of(names) == []


def test_every_room_has_its_line_on_the_page_of_the_architecture() -> None:
    package = ROOT / "casgan_dicom"
    rooms = {path.parent.relative_to(package).as_posix() + "/" for path in package.rglob("__init__.py")}

    assert rooms - {"./"} <= {path for path, _ in named_on(tables_of(ARCHITECTURE))}


def test_the_tables_for_contributors_name_what_is_there() -> None:
    names = named_on(tables_of(CONTRIBUTING))

    assert len(names) > 40
    assert faults_of(names) == []


def test_the_picture_names_doors_that_are_there() -> None:
    doors = list(doors_of_the_picture())

    assert len(doors) > 15
    assert faults_of(doors) == []


def test_no_drawing_is_older_than_its_source() -> None:
    assert stale_drawings(DRAWINGS) == [], "run make docs"


def test_a_drawing_of_another_text_of_other_words_or_of_none_is_noticed(tmp_path: Path) -> None:
    """Without Graphviz."""
    source, picture = (Path(shutil.copy(path, tmp_path)) for path in (PICTURE, PICTURE.with_suffix(".svg")))
    text, drawn = source.read_text(encoding="utf-8"), picture.read_text(encoding="utf-8")
    assert stale_drawings(tmp_path) == []

    source.write_text(text.replace("442,480", "442,481"), encoding="utf-8")
    assert stale_drawings(tmp_path) == [source]
    source.write_text(text, encoding="utf-8")
    picture.write_text(drawn.replace(">Your PACS<", "><"), encoding="utf-8")
    assert stale_drawings(tmp_path) == [source]
    picture.unlink()
    assert stale_drawings(tmp_path) == [source]


def test_graphviz_draws_the_same_again() -> None:
    """The same shapes, words and colours; places within 4 pixels, because fonts differ between machines."""
    dot = find_program("dot", "graphviz")

    again = list(shapes_of(draw(PICTURE.read_text(encoding="utf-8"), dot)))
    kept = list(shapes_of(PICTURE.with_suffix(".svg").read_text(encoding="utf-8")))

    assert [look for look, _ in again] == [look for look, _ in kept]
    for (_, places), (_, expected) in zip(again, kept, strict=True):
        np.testing.assert_allclose(places, expected, atol=4)


def test_the_picture_fits_a_page_and_can_be_read_there() -> None:
    root = ElementTree.fromstring(PICTURE.with_suffix(".svg").read_text(encoding="utf-8"))
    sizes = [float(size) for element in root.iter() if (size := element.get("font-size"))]

    assert float(root.get("width", "inf")) <= 900
    assert min(sizes) >= 12


def shapes_of(svg: str) -> Iterator[tuple[tuple[str | None, ...], list[float]]]:
    """Of each element, in order: what it is and how it looks, and all numbers of its places."""
    for element in ElementTree.fromstring(svg).iter():
        places = " ".join(element.get(key, "") for key in _PLACE)
        look = (element.tag, (element.text or "").strip(), *(element.get(key) for key in _LOOK))
        yield look, [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", places)]
