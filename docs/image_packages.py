"""deploy/requirements.txt: what the container image installs, out of hashes.txt."""

from __future__ import annotations

import tomllib
from pathlib import Path

from docs.notice import closure

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "deploy" / "requirements.txt"
EXTRAS = ("codecs", "openvino")
"""Of the image: all codecs, and the faster engine for Intel."""
LEFT_OUT = ("torch",)
"""Its CPU build is another file than that of the index; the Containerfile fetches it."""
_BUILDS = "setuptools"
_HEAD = "# The lines of hashes.txt that the image needs (deploy/Containerfile); `make docs` writes this.\n"


def page() -> str:
    """The file, by the metadata of what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = closure([*project["dependencies"], *(line for each in EXTRAS for line in extras[each]), _BUILDS])
    hashed = {
        line.partition("==")[0]: line
        for line in (ROOT / "hashes.txt").read_text(encoding="utf-8").splitlines(keepends=True)
        if not line.startswith("#")
    }
    return _HEAD + "".join(hashed[name] for name in sorted(set(needed) - {*LEFT_OUT}))
