"""``casgan-dicom train``: train a generator on the simulator or on folders of frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.device import device_option
from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import say, tell

if TYPE_CHECKING:
    from casgan_dicom.lab.train import Trained


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
@option("--name", default="", metavar="NAME", help="Name of the bundle; by default that of the run folder.")
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
    name: str,
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
    save and stop; the same command with --resume continues. NAME is what derived objects say that made them;
    it may not be that of a shipped bundle. Started by torchrun, several processes train
    together.
    """
    if list_presets:
        _list_methods()
        return
    if data is None or out is None:
        raise click.UsageError("--data and --out are needed")
    from casgan_dicom.lab.train import TrainOptions
    from casgan_dicom.lab.train import train as train_generator

    options = TrainOptions(overrides, device, resume, name)
    show_trained(train_generator(method, preset, data=data, out=out, options=options, log=say))


def _list_methods() -> None:
    """One line for each method: its name, its presets, what it is."""
    from casgan_dicom.model.methods.registry import method_class, method_names
    from casgan_dicom.model.preset_files import presets

    for method in method_names():
        cls = method_class(method)
        names = ", ".join(name for owner, name in presets() if owner == method)
        ours = " (beyond the paper)" if cls.beyond_paper else ""
        tell(f"{method:20}{cls.title}{ours}")
        tell(f"{'':20}presets: {names}")


def show_trained(trained: Trained) -> None:
    """Where the bundle is, or how far a stopped run has come; one process of a run says it."""
    if trained.bundle is not None:
        tell(f"bundle: {trained.bundle}")
    elif trained.main:
        tell(f"stopped at step {trained.step} of {trained.steps}; --resume continues")
