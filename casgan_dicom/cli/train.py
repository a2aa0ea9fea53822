"""``casgan-dicom train``: train a generator on the simulator or on folders of frames."""

from __future__ import annotations

from pathlib import Path

import click

from casgan_dicom.cli.output import make_folder, say
from casgan_dicom.cli.training_data import DataSpec, load_domains, parse_data
from casgan_dicom.model.data import CropSampler
from casgan_dicom.model.devices import choose_device
from casgan_dicom.model.run_folder import check_run_folder
from casgan_dicom.model.settings import TrainSettings, load_settings, presets
from casgan_dicom.model.trainer import Trainer, check_weights


@click.command()
@click.option("--method", default="casgan", show_default=True, show_envvar=True, help="Method to train.")
@click.option(
    "--preset",
    default="desk",
    show_default=True,
    show_envvar=True,
    help="Where the settings start; see --list.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    envvar="CASGAN_TRAIN_SET",
    show_envvar=True,
    help="Change one setting; repeatable.",
)
@click.option("--data", metavar="SPEC", show_envvar=True, help="sim:SEED[,ct=PATH] or X_FOLDER,Y_FOLDER.")
@click.option("--out", type=click.Path(path_type=Path), show_envvar=True, help="Run folder.")
@click.option(
    "--device", default="auto", show_default=True, show_envvar=True, help="auto, cpu, cuda or cuda:N."
)
@click.option("--resume", is_flag=True, show_envvar=True, help="Continue the run in --out.")
@click.option(
    "--list",
    "list_presets",
    is_flag=True,
    envvar="CASGAN_TRAIN_LIST",
    show_envvar=True,
    help="List the presets by method, and stop.",
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

    SPEC is sim:SEED for the simulator (ct=PATH takes its backgrounds from a labelled CT), or two folders,
    frames without and with contrast (PNG, NPY or DICOM), separated by a comma.

    The run folder receives config.json, metrics.csv, samples/, checkpoint.pt and, when training ends,
    bundle/, which `casgan-dicom convert --bundle RUN/bundle` uses. Once its steps run, Ctrl-C and SIGTERM
    save and stop; the same command with --resume continues.
    """
    if list_presets:
        for name in presets():
            click.echo(name.replace("-", "  ", 1))
        return
    if data is None or out is None:
        raise click.UsageError("--data and --out are needed")
    settings = load_settings(method, preset, overrides)
    run_training(settings, parse_data(data), out, device=device, resume=resume)


def run_training(settings: TrainSettings, data: DataSpec, out: Path, *, device: str, resume: bool) -> None:
    """Load the data, train, and export the bundle when the run is complete."""
    check_weights(settings)
    check_run_folder(out, settings, data.description, resume=resume)
    choose_device(device)
    make_folder(out)
    say(f"reading {data.description}")
    x, y = load_domains(data, settings)
    say(f"{len(x)} frames without contrast, {len(y)} with")
    sampler = CropSampler(x, y, settings.data, settings.normalisation)
    trainer = Trainer(settings, sampler, out, data=data.description, device=device, log=say)
    progress = trainer.run(resume=resume)
    if progress.finished:
        folder = trainer.export()
        click.echo(f"bundle: {folder}")
    else:
        click.echo(f"stopped at step {progress.step} of {progress.steps}; --resume continues")
