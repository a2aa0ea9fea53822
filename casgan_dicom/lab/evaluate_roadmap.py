"""Measuring the roadmap on simulated pairs of runs: table.md and report.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from casgan_dicom.disk import make_folder, write_json, write_whole
from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.training_data import Data, parse_data
from casgan_dicom.model.devices import choose_device
from casgan_dicom.model.evaluation.roadmap_report import PairProtocol, PairReport, evaluate_pairs, markdown
from casgan_dicom.model.evaluation.subjects import find_subjects
from casgan_dicom.model.generator import Generator
from casgan_dicom.source.paths import OnePath, as_path


def evaluate_roadmap(
    bundles: Sequence[str | Path],
    *,
    data: Data,
    out: OnePath,
    protocol: PairProtocol | None = None,
    device: str = "auto",
    log: Log = silent,
) -> PairReport:
    """Measure the roadmap and write table.md and report.json.

    Parameters
    ----------
    bundles
        The first one's segmentor finds the vessels of the references; those that draw by a plan have a row.
    data
        Simulated, as for `train`.
    out
        Folder of the report; made if it is not there.
    protocol
        How much of everything.
    device
        Where the bundles run.
    log
        Receives a sentence at a time for a person to read.

    Raises
    ------
    ConfigError
        The data are not simulated, or no pair has a usable reference.
    WeightsError
        A bundle is unknown or damaged.
    OutputError
        The folder cannot be written.
    """
    spec, folder = parse_data(data), as_path(out)
    if spec.simulated is None:
        raise ConfigError("the roadmap is measured on pairs of simulated runs", hint="--data sim:1")
    generators = [
        (subject.label, Generator.load(subject.folder, device=choose_device(device)))
        for subject in find_subjects(bundles)
    ]
    atlases = [(label, generator) for label, generator in generators if generator.sampled(1)]
    make_folder(folder)
    protocol = protocol or PairProtocol()
    report = evaluate_pairs(spec.simulated, generators[0][1], atlases, protocol, log)
    report = replace(report, source=spec.description)
    write_whole(folder / "table.md", markdown(report).encode())
    write_json(folder / "report.json", report.figures())
    return report
