"""``casgan-dicom train``: train a generator on the simulator or on folders of frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import make_folder, say
from casgan_dicom.lab.training_data import DataSpec, load_domains, parse_data
from casgan_dicom.model.distributed import World, join_world
from casgan_dicom.model.methods.registry import method_class, method_names
from casgan_dicom.model.preset_files import load_settings, presets
from casgan_dicom.model.run_folder import check_run_folder
from casgan_dicom.model.sampler import CropSampler
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.shelf import DEFAULT_BUNDLE, bundle_folder, read_config
from casgan_dicom.model.trainer import Trainer, check_weights


@click.command()
@option("--method", default="casgan", help="Method to train.")
@option("--preset", default="desk", help="Where the settings start; see --list.")
@option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    envvar="CASGAN_TRAIN_SET",
    help="Change one setting; repeatable.",
)
@option("--data", metavar="SPEC", help="sim:SEED[,cache=no][,ct=PATH], xcad:PATH or X_FOLDER,Y_FOLDER.")
@option("--out", type=PATH, help="Run folder.")
@device_option()
@option("--resume", is_flag=True, help="Continue the run in --out.")
@option(
    "--list",
    "list_presets",
    is_flag=True,
    envvar="CASGAN_TRAIN_LIST",
    help="List methods and their presets, and stop.",
)
def train(  # noqa: PLR0913  # one parameter per option is how click calls
    *,
    method: str,
    preset: str,
    overrides: tuple[str, ...],
    data: str | None,
    out: Path | None,
    device: str,
    resume: bool,
    list_presets: bool,
) -> None:
    """Train a generator.

    SPEC is sim:SEED for the simulator (ct=PATH takes its backgrounds from a labelled CT, cache=no renders
    anew instead of keeping what was rendered), xcad:PATH for the XCAD data set as it comes, or two folders,
    frames without and with contrast (PNG, NPY or DICOM), separated by a comma.

    The run folder receives config.json, metrics.csv, samples/, checkpoint.pt and, when training ends,
    bundle/, which `casgan-dicom convert --bundle RUN/bundle` uses. Once its steps run, Ctrl-C and SIGTERM
    save and stop; the same command with --resume continues. Started by torchrun, several processes train
    together.
    """
    if list_presets:
        _list_methods()
        return
    if data is None or out is None:
        raise click.UsageError("--data and --out are needed")
    settings = load_settings(method, preset, overrides)
    with join_world(device) as world:
        run_training(settings, parse_data(data), out, world=world, resume=resume)


def _list_methods() -> None:
    """One line for each method: its name, its presets, what it is."""
    for method in method_names():
        cls = method_class(method)
        names = ", ".join(name for owner, name in presets() if owner == method)
        ours = " (beyond the paper)" if cls.beyond_paper else ""
        click.echo(f"{method:20}{cls.title}{ours}")
        click.echo(f"{'':20}presets: {names}")


def with_segmentor(settings: TrainSettings, data: DataSpec) -> TrainSettings:
    """Name the shipped segmentor where there is nothing to train one on and none is named."""
    if data.folders is None or settings.segmentor.path:
        return settings
    base = read_config(bundle_folder(DEFAULT_BUNDLE))["settings"]["segmentor"]["base"]
    say(f"the frames have no vessel masks: the segmentor is that of the bundle '{DEFAULT_BUNDLE}'")
    return replace(settings, segmentor=replace(settings.segmentor, path=DEFAULT_BUNDLE, base=base))


def run_training(settings: TrainSettings, data: DataSpec, out: Path, *, world: World, resume: bool) -> bool:
    """Load the data, train, and export the bundle when the run is complete; tells whether it is."""
    check_weights(settings)
    settings = with_segmentor(settings, data)
    if world.main:
        check_run_folder(out, settings, data.description, resume=resume)
        make_folder(out)
        say(f"reading {data.description}")
    world.wait()
    frames = load_domains(data, settings, say)
    if world.main:
        say(f"{len(frames.x)} frames without contrast, {len(frames.y)} with")
    sampler = CropSampler(frames.x, frames.y, settings.data, settings.normalisation, frames.labelled)
    trainer = Trainer(settings, sampler, out, data=data.description, log=say, world=world)
    progress = trainer.run(resume=resume)
    if world.main:
        if progress.finished:
            click.echo(f"bundle: {trainer.export()}")
        else:
            click.echo(f"stopped at step {progress.step} of {progress.steps}; --resume continues")
    return progress.finished
