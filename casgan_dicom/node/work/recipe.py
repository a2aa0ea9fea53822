"""What decides a result besides the series, as one text: weights, version, form and mode."""

from __future__ import annotations

from casgan_dicom import __version__
from casgan_dicom.model.bundle.shelf import weights_digest
from casgan_dicom.node.settings import WorkerSettings

_FORM = "mf-gray8"
"""What the node writes: multi-frame objects of 8 bits. A node that writes others makes other jobs."""


def recipe_of(worker: WorkerSettings, bundle: str = "") -> str:
    """The recipe of a node, or of another `bundle` in it. Raises WeightsError if the bundle is not there."""
    mode = "" if worker.mode == "invent" else f" {worker.mode}, else {worker.without_reference}"
    return f"{weights_digest(bundle or worker.bundle)} {__version__} {_FORM}{mode}"
