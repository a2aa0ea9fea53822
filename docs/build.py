"""The documents that follow from the code, the drawings that follow from a text, and the links of all.

python -m docs.build            write docs/cli.md from the commands' own help, the tables of
                                docs/conformance.md and docs/metrics.md from the code, NOTICE and
                                deploy/requirements.txt from the metadata of the installed packages, and
                                docs/images/*.svg that are out of date from the .dot beside them, where
                                Graphviz is; then check every link
python -m docs.build --check    write nothing; complain if one of them is out of date
"""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from casgan_dicom.cli import cli
from docs.image_packages import REQUIREMENTS
from docs.image_packages import page as image_packages
from docs.metrics_page import page as metrics_page
from docs.notice import NOTICE
from docs.notice import page as notice

ROOT = Path(__file__).resolve().parents[1]
CLI_PAGE = ROOT / "docs" / "cli.md"
CONFORMANCE_PAGE = ROOT / "docs" / "conformance.md"
METRICS_PAGE = ROOT / "docs" / "metrics.md"
DRAWINGS = ROOT / "docs" / "images"

_DOCUMENTS = ("*.md", "docs/**/*.md", "sample_series/**/*.md", "casgan_dicom/**/*.md")
_WIDTH = 100
_HEAD = """# Commands

What `casgan-dicom COMMAND -h` prints; `make docs` writes this page. Every option is also read from the
environment: `--out` of `convert` as `CASGAN_CONVERT_OUT`, and so on.
"""
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_LABEL = re.compile(r'\blabel="([^"]*)"')
_SHOWN = re.compile(r"<text[^>]*>(.*?)</text>")


def cli_page() -> str:
    """The page of all commands: the help of each, at a fixed width."""
    with click.Context(cli, info_name="casgan-dicom", terminal_width=_WIDTH, **cli.context_settings) as top:
        return "\n".join([_HEAD, *_sections(cli, top)])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    """The help of a command, then of those below it."""
    yield _section(context.command_path, command.get_help(context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            with click.Context(below, info_name=name, parent=context) as inner:
                yield from _sections(below, inner)


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines.strip()}\n```\n"


def draw(source: str, dot: str) -> str:
    """What the program `dot` of Graphviz makes of a text, as SVG of one pixel for each unit.

    Its version and the names of nodes and edges are left out; the digest of the text is put in. Raises
    CalledProcessError if the text is no graph.
    """
    done = subprocess.run([dot, "-Tsvg"], input=source, capture_output=True, encoding="utf-8", check=True)
    drawn = re.sub(r"<!.*?>\n", "", done.stdout, flags=re.DOTALL)
    drawn = re.sub(r'(class="(?:node|edge)">\n)<title>.*?</title>\n', r"\1", drawn)
    drawn = re.sub(r'\b(width|height)="(\d+)pt"', r'\1="\2"', drawn).replace('"transparent"', '"none"')
    return drawn.replace("<svg ", f"{_mark(source)}\n<svg ", 1)


def _mark(source: str) -> str:
    """What a drawing says of the text that it was made of."""
    return f"<!-- sha256 of the source: {hashlib.sha256(source.encode()).hexdigest()} -->"


def stale_drawings(folder: Path) -> list[Path]:
    """Sources of drawings in `folder` whose SVG is absent, of another text, or of other words.

    Graphviz is not needed for that.
    """
    return [source for source in sorted(folder.glob("*.dot")) if not _is_drawn(source)]


def _is_drawn(source: Path) -> bool:
    text, picture = source.read_text(encoding="utf-8"), source.with_suffix(".svg")
    drawn = picture.read_text(encoding="utf-8") if picture.is_file() else ""
    shown = {html.unescape(line) for line in _SHOWN.findall(drawn)}
    wanted = {line for label in _LABEL.findall(text) for line in re.split(r"\\[nlr]", label) if line}
    return _mark(text) in drawn and wanted == shown


def _draw_stale() -> None:
    """Draw what is out of date, where there is a `dot`."""
    if dot := shutil.which("dot"):
        for source in stale_drawings(DRAWINGS):
            drawn = draw(source.read_text(encoding="utf-8"), dot)
            source.with_suffix(".svg").write_text(drawn, encoding="utf-8")


def broken_links(root: Path) -> list[str]:
    """Relative links in Markdown files under `root` that lead nowhere, as "file: target"."""
    found = []
    for page in _pages(root):
        prose = _FENCED.sub("", page.read_text(encoding="utf-8"))
        for target in _LINK.findall(prose):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            leads_to = page.parent / path if path else page
            if not leads_to.exists() or (anchor and anchor not in _anchors(leads_to)):
                found.append(f"{page.relative_to(root)}: {target}")
    return found


def _pages(root: Path) -> Iterator[Path]:
    for pattern in _DOCUMENTS:
        yield from sorted(root.glob(pattern))


def _anchors(page: Path) -> set[str]:
    """The anchors that a forge gives to a page's headings."""
    prose = _FENCED.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def main(arguments: Sequence[str]) -> int:
    """Write or check; 1 if something is wrong."""
    from docs.conformance import page as conformance_page  # noqa: PLC0415  # torch, for one page of all

    wrong = []
    for path, page in (
        (CLI_PAGE, cli_page()),
        (CONFORMANCE_PAGE, conformance_page(CONFORMANCE_PAGE.read_text(encoding="utf-8"))),
        (METRICS_PAGE, metrics_page(METRICS_PAGE.read_text(encoding="utf-8"))),
        (NOTICE, notice()),
        (REQUIREMENTS, image_packages()),
    ):
        if "--check" not in arguments:
            path.write_text(page, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != page:
            wrong.append(f"{path.relative_to(ROOT)} is not what the code says now: run make docs")
    if "--check" not in arguments:
        _draw_stale()
    wrong += [
        f"{source.with_suffix('.svg').relative_to(ROOT)} is not what its source says now: run make docs with "
        "Graphviz (the package graphviz)"
        for source in stale_drawings(DRAWINGS)
    ]
    wrong += [f"link leads nowhere: {link}" for link in broken_links(ROOT)]
    if not wrong:
        sys.stdout.write(f"docs: {sum(1 for _ in _pages(ROOT))} pages, every link leads somewhere\n")
    for line in wrong:
        sys.stdout.write(line + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
