"""What decides a result besides the series, as one text: weights, version, form and mode."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from casgan_dicom import __version__
from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.shelf import weights_digest
from casgan_dicom.node.settings import NodeSettings, WorkerSettings

PLAIN_FORM = "mf-gray8"
"""What is written where nobody asks for another form: multi-frame objects of 8 bits."""


def recipe_of(worker: WorkerSettings, bundle: str = "", *, form: str = PLAIN_FORM, mode: str = "") -> str:
    """The recipe of a result; empty `bundle` or `mode` are those of the worker.

    Raises WeightsError if the bundle is not there.
    """
    mode = mode or worker.mode
    said = "" if mode == "invent" else f" {mode}, else {worker.without_reference}"
    return f"{weights_digest(bundle or worker.bundle)} {__version__} {form}{said}"


def recipe_of_node(settings: NodeSettings) -> str:
    """The recipe by which jobs are named when their first instance comes in, see `receipts.job_id`.

    Which rule decides is not known then, so all of them are part of it; what a job is made by is written down
    when that is decided. Raises WeightsError, with the name of the rule, if a bundle is not there.
    """
    own = recipe_of(settings.worker)
    digests = []
    for rule in settings.rules:
        try:
            digests.append(weights_digest(rule.bundle or settings.worker.bundle))
        except WeightsError as error:
            raise WeightsError(f"rule '{rule.name}': {error.message}", hint=error.hint) from error
    if not digests:
        return own
    said = [[asdict(rule) for rule in settings.rules], digests]
    return f"{own} rules {hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]}"
