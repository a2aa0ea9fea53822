"""Training a generator: a method, data and a run folder in, a bundle out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from casgan_dicom.disk import make_folder
from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.domain import learn_from, training_frames
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.training_data import Data, DataSpec, load_domains, load_guided, load_posed, parse_data
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE, bundle_folder, read_config
from casgan_dicom.model.data.guided_sampler import GuidedSampler
from casgan_dicom.model.data.pose_sampler import PoseSampler
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import World, join_world
from casgan_dicom.model.training.naming import bundle_name
from casgan_dicom.model.training.run_folder import check_run_folder
from casgan_dicom.model.training.trainer import Trainer, check_weights
from casgan_dicom.source.paths import OnePath, as_path


def check_overrides(overrides: tuple[str, ...]) -> None:
    """Raise ConfigError for one text, whose letters would be taken for settings."""
    if isinstance(overrides, str):
        raise ConfigError(f"overrides is '{overrides}', want a tuple: ('{overrides}',)")


@dataclass(frozen=True)
class TrainOptions:
    """How a run is trained, beside its preset."""

    overrides: tuple[str, ...] = ()
    """Settings to change, each ``key=value`` with a dotted key and a TOML value: ``optim.steps=500``."""
    device: str = "auto"
    """Where it trains: "auto", "cpu", "cuda" or "cuda:N"."""
    resume: bool = False
    """Continue the run that the folder holds."""
    name: str = ""
    """Name of the bundle, none of a shipped one; empty for that of the run folder."""

    def __post_init__(self) -> None:
        """Raise ConfigError for one text, whose letters would be taken for settings."""
        check_overrides(self.overrides)


@dataclass(frozen=True)
class Trained:
    """How training ended."""

    step: int
    """Optimiser steps done."""
    steps: int
    """Optimiser steps asked for."""
    bundle: Path | None
    """The bundle that this process wrote; None where a signal stopped the run, or another process writes."""
    main: bool = field(default=True, repr=False)
    """Of several processes that ``torchrun`` started, whether this is the one that writes files and talks."""

    @property
    def finished(self) -> bool:
        """False when a signal ended the run early."""
        return self.step >= self.steps


def train(
    method: str = "casgan",
    preset: str = "desk",
    *,
    data: Data,
    out: OnePath,
    options: TrainOptions | None = None,
    log: Log = silent,
) -> Trained:
    """Train a generator from a preset, and export its bundle.

    SIGINT and SIGTERM save a checkpoint and stop, once steps run; `options.resume` continues. Called from
    another thread than the main one, it leaves signals alone, and nothing is saved when one ends the program.

    More than two simulated runs are rendered by processes that are started anew and read the caller's script
    again: in a script, call it below ``if __name__ == "__main__":``. Started by ``torchrun``, several
    processes train together.

    Parameters
    ----------
    method, preset
        Where the settings start; ``casgan-dicom train --list`` names them.
    data
        ``sim:SEED[,cache=no][,ct=PATH]``, ``xcad:PATH`` or ``X_FOLDER,Y_FOLDER``; two folders may also be two
        paths, frames without contrast first.
    out
        Run folder; made if it is not there.
    options
        Changed settings, the device, and whether a run is continued.
    log
        Receives a sentence at a time for a person to read, such as `print`; without it nothing is said, which
        may be for hours.

    Returns
    -------
    Trained
        How far it came, and the bundle; ``finished`` is False where a signal stopped it.

    Raises
    ------
    ConfigError
        No such method, preset, device or data; a setting that is unknown or out of range; the folder holds
        another run; the name is that of a shipped bundle; a loss is not finite; a script called it outside
        ``if __name__ == "__main__":``.
    WeightsError
        Nothing to resume, or a run of other settings or data.
    OutputError
        The folder cannot be written.
    """
    options = TrainOptions() if options is None else options
    folder = as_path(out)
    settings = load_settings(method, preset, options.overrides)
    settings = replace(settings, name=options.name or settings.name)
    bundle_name(settings, folder)  # before hours of training, not behind them
    with join_world(options.device) as world:
        spec, resume = parse_data(data), options.resume
        return run_training(settings, spec, folder, world=world, resume=resume, log=log)


def run_training(
    settings: TrainSettings, data: DataSpec, out: Path, *, world: World, resume: bool, log: Log = silent
) -> Trained:
    """Load the data, train, and export the bundle when the run is complete; parameters as for `train`."""
    check_weights(settings)
    settings = with_segmentor(settings, data, log)
    if world.main:
        check_run_folder(out, settings, data.description, resume=resume)
        make_folder(out)
        log(f"reading {data.description}")
    world.wait()
    sampler = _sampler(settings, data, log if world.main else silent)
    trainer = Trainer(settings, sampler, out, data=data.description, log=log, world=world)
    progress = trainer.run(resume=resume)
    bundle = trainer.export() if world.main and progress.finished else None
    if bundle is not None:
        learn_from(bundle, training_frames(sampler), ct=data.ct, log=log)
    return Trained(progress.step, progress.steps, bundle, world.main)


def _sampler(settings: TrainSettings, data: DataSpec, log: Log) -> CropSampler:
    """Load what the method learns from."""
    frames = load_domains(data, settings, log)
    crops = CropSampler(frames.x, frames.y, settings.data, settings.normalisation, frames.labelled)
    method = method_class(settings.method)
    if method.posed:
        posed = load_posed(data, settings, log)
        log(f"{len(posed.plain)} frames without contrast of {len(posed.right)} simulated patients")
        return PoseSampler(crops, posed)
    if method.guided:
        guided = load_guided(data, settings, log)
        chests, patients, count = guided.plain.shape[:3]
        log(f"{chests * patients * count} pairs of {chests * patients} simulated patients")
        return GuidedSampler(crops, guided)
    log(f"{len(frames.x)} frames without contrast, {len(frames.y)} with")
    return crops


def with_segmentor(settings: TrainSettings, data: DataSpec, log: Log = silent) -> TrainSettings:
    """Name the shipped segmentor where there is nothing to train one on and none is named."""
    if data.folders is None or settings.segmentor.path:
        return settings
    base = read_config(bundle_folder(DEFAULT_BUNDLE))["settings"]["segmentor"]["base"]
    log(f"the frames have no vessel masks: the segmentor is that of the bundle '{DEFAULT_BUNDLE}'")
    return replace(settings, segmentor=replace(settings.segmentor, path=DEFAULT_BUNDLE, base=base))
