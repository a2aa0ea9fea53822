"""The package of CONTRIBUTING.md that brings a method, as pip would install it."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def installed_toy(folder: Path, entry: str | None = None) -> dict[str, str]:
    """Write the package of CONTRIBUTING.md as pip would install it; returns an environment that finds it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL))
    for name in ("toy_method/toy.py", "toy_method/presets/toy-smoke.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(blocks[name])
    (folder / "toy_method" / "__init__.py").touch()
    group, name, value = re.findall(r'entry-points\."(.+)"\]\n(\w+) = "(.+)"', blocks["pyproject.toml"])[0]
    info = folder / "toy_method-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-method\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry or value}\n")
    data = {"CASGAN_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **data, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
