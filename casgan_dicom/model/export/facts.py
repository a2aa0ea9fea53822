"""What every export says of itself, whatever its format."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from casgan_dicom.model.bundle.bundle import Bundle, simulator_text
from casgan_dicom.model.bundle.shelf import PICTURES_NAME, SHARED, bundle_file

NOTICE = (
    "Output is synthetic: an image invented by a network, which shows no vessel of the patient. "
    "Research only: never for diagnosis, planning or any clinical decision."
)
"""Carried by every export."""
INPUT = (
    "x: (N, 1, size, size) float32 in [-1, 1]. The two percentiles of the whole series become the values"
    " low and high by a straight line; what lies beyond -1 or 1 is clipped."
)
"""What the networks take."""
OUTPUTS = (
    "With an output 'attention' A in [0, 1], 'drawn' is the context C and the synthetic image is"
    " x * (1 - A) + C * A; without one, 'drawn' is the synthetic image. Values are those of x."
)
"""What the networks give, in the formats that have these two outputs."""


def facts_of(bundle: Bundle) -> dict[str, str]:
    """Say in text, for metadata fields that hold nothing else, what a bundle is; with NOTICE."""
    info = bundle.info
    return {
        "name": info.name,
        "version": info.version,
        "method": info.method,
        "recipe": info.recipe,
        "data": info.data,
        "simulator": simulator_text(info),
        "size": str(info.size),
        "licence": info.licence,
        "weights_sha256": info.weights_sha256,
        "normalisation": json.dumps(dataclasses.asdict(bundle.settings.normalisation)),
        "input": INPUT,
        "outputs": OUTPUTS,
        "notice": NOTICE,
    }


def card_text(folder: Path, bundle: Bundle) -> str:
    """Read the card of the bundle in `folder`, headed by NOTICE; a bundle without one gets its bare facts.

    Its pictures are taken to lie beside it.
    """
    path = folder / "README.md"
    if path.is_file():
        shared = f"../{SHARED}/{bundle_file(folder, PICTURES_NAME).name}"
        text = path.read_text(encoding="utf-8").replace(f"]({shared})", f"]({PICTURES_NAME})")
    else:
        rows = "".join(f"| {key} | {value} |\n" for key, value in facts_of(bundle).items() if key != "notice")
        text = f"# {bundle.info.name}\n\nNothing was measured for this bundle.\n\n| | |\n|---|---|\n{rows}"
    return f"> **{NOTICE}**\n\n{text}"


def licence_text(bundle: Bundle) -> str:
    """Say under which licence the weights are, with the full text of Apache-2.0 where it is that one."""
    head = f"SPDX-License-Identifier: {bundle.info.licence}\n"
    if bundle.info.licence != "Apache-2.0":
        return head
    try:
        full = distribution("casgan-dicom").read_text("licenses/LICENSE")
    except PackageNotFoundError:  # run from a source tree that was never installed
        full = None
    return f"{head}\n{full or 'https://www.apache.org/licenses/LICENSE-2.0'}"
