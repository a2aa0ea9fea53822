"""Write hashes.txt: the digest of every file that `make setup` installs where continuous integration runs.

    make hashes        again, after constraints.txt has changed

The files are those that pip chooses on the machine that this runs on, which has to be of the kind that the
file is for: CPython 3.11 on x86-64 Linux with glibc. torch is left out: a CPU build, as continuous
integration has it, is another file under the same version. pip is in it, since `make setup` renews that too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HASHES = ROOT / "hashes.txt"
LEFT_OUT = ("casgan-dicom", "torch")
_HEAD = """\
# The files of constraints.txt for CPython 3.11 on x86-64 Linux (glibc): `make setup` checks them there.
# Not in it: torch, whose CPU build is another file than that of the index. Written by `make hashes`.
"""


def chosen_files(extras: str) -> list[dict[str, Any]]:
    """What pip would install into an empty environment, without installing it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", "-c", "constraints.txt", "torch", "pip", f".[{extras}]"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    report: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return report["install"]


def hashes_page(files: list[dict[str, Any]]) -> str:
    """The lines of hashes.txt, by name; pip reads them with ``--require-hashes``."""
    lines = []
    for file in files:
        about, info = file["metadata"], file["download_info"].get("archive_info", {})
        name = about["name"].lower().replace("_", "-")
        if name not in LEFT_OUT:
            lines.append(f"{name}=={about['version']} --hash=sha256:{info['hashes']['sha256']}\n")
    return _HEAD + "".join(sorted(lines))


if __name__ == "__main__":
    HASHES.write_text(hashes_page(chosen_files(sys.argv[1])))
