"""The bundles that the settings name: there, and every file of them the one that was meant."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.files import WEIGHT_FILES, checked_files
from casgan_dicom.model.bundle.shelf import bundle_folder, read_config
from casgan_dicom.node.doctor.finding import Finding, fail, ok
from casgan_dicom.node.settings import NodeSettings


def look_at_bundles(settings: NodeSettings) -> Iterator[Finding]:
    """The bundle of the worker, and those that rules name."""
    named = {settings.worker.bundle: "worker.bundle"}
    for number, rule in enumerate(settings.rules, 1):
        if rule.bundle:
            named.setdefault(rule.bundle, f"rules#{number}.bundle")
    for bundle, key in named.items():
        try:
            folder = bundle_folder(bundle)
            config = read_config(folder)
            files = checked_files(folder, config, WEIGHT_FILES)
        except WeightsError as error:
            yield fail(key, error.message, error.hint)
        else:
            told = f"'{bundle}' is {config['name']} {config['version']}"
            yield ok(key, f"{told}, {len(files)} files have the right SHA-256")
