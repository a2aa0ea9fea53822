"""The layout of a Hugging Face model repository; nothing is uploaded.

The files of the bundle byte for byte, and a README whose YAML head the Hub reads. `Generator.load` reads
the folder as it is.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from casgan_dicom.model.bundle.bundle import Bundle
from casgan_dicom.model.bundle.shelf import bundle_file, read_config
from casgan_dicom.model.bundle.writing import UNKNOWN_LICENCE
from casgan_dicom.model.export.facts import card_text, licence_text

TAGS = ("medical", "x-ray", "angiography", "synthetic-data", "research-only", "not-for-clinical-use")


def write_huggingface(bundle: Bundle, source: Path, folder: Path) -> None:
    """Write the bundle read from `source` to `folder`."""
    for name in ("config.json", *read_config(source)["sha256"]):
        shutil.copyfile(bundle_file(source, name), folder / name)
    (folder / "README.md").write_text(_front_matter(bundle) + card_text(source, bundle), encoding="utf-8")
    (folder / "LICENSE").write_text(licence_text(bundle), encoding="utf-8")


def _front_matter(bundle: Bundle) -> str:
    """Values as JSON strings, which are YAML too, whatever a name holds."""
    licence = bundle.info.licence
    lines = [
        f"license: {json.dumps('unknown' if licence == UNKNOWN_LICENCE else licence.lower())}",
        "library_name: casgan-dicom",
        "pipeline_tag: image-to-image",
        "tags:",
        *(f"- {json.dumps(tag)}" for tag in (*TAGS, bundle.info.method)),
    ]
    return "\n".join(["---", *lines, "---", "", ""])
