"""``casgan-dicom weights``: what a bundle is, its model card, and its export to other formats."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, need_extra, say, show_json, tell
from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.options import CHESTS, FEWEST_CHESTS, STEPS, WANTED
from casgan_dicom.model.bundle.shelf import ALIASES, SEGMENTOR_NAME, bundle_folder, shipped_bundles
from casgan_dicom.model.export.formats import Format


@click.group()
def weights() -> None:
    """Look at bundles of trained weights, and export them."""


@weights.command()
@click.argument("bundle", required=False)
@json_option("WEIGHTS_INFO")
def info(*, bundle: str | None, as_json: bool) -> None:
    """Say what BUNDLE (a name or a folder) is; without it, list the shipped ones."""
    if bundle is None:
        names = {name: ALIASES.get(name, "") for name in [*ALIASES, *shipped_bundles()]}
        if as_json:
            show_json(names)
            return
        for name, target in names.items():
            tell(f"{name} -> {target}" if target else name)
        return
    from casgan_dicom.model.bundle.bundle import load_bundle

    facts = dataclasses.asdict(load_bundle(bundle).info)
    if as_json:
        show_json(facts)
        return
    for key, value in facts.items():
        tell(f"{key:15} {value}")


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@option(
    "--run",
    type=PATH,
    help="Run folder of the bundle, for the learning curve; without it the curve in the bundle stays.",
)
@option("--report", required=True, type=PATH, help="Folder of `evaluate --out`.")
def card(*, bundle: Path, run: Path | None, report: Path) -> None:
    """Write the model card of BUNDLE from its run and an evaluation."""
    with need_extra("metrics"):
        from casgan_dicom.model.bundle.card import write_card
    tell(str(write_card(bundle, report, run)))


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@option("--of", required=True, help="The bundle that has it, a name or a folder.")
def segmentor(*, bundle: Path, of: str) -> None:
    """Give BUNDLE (a folder) the vessel segmentor of another bundle.

    What BUNDLE knows of the kind of its training frames goes, since it spoke of the features of the segmentor
    before; `casgan-dicom weights domain` teaches it anew.
    """
    from casgan_dicom.model.bundle.writing import replace_segmentor

    replace_segmentor(bundle, bundle_folder(of))
    tell(f"{bundle / SEGMENTOR_NAME}: of bundle '{of}'")


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@option("--data", required=True, help=f"What it was trained on: {WANTED.removeprefix('want ')}.")
def domain(*, bundle: Path, data: str) -> None:
    """Teach BUNDLE (a folder) what kind of picture its training frames are.

    Conversion turns foreign pictures away by it. `train` does so at its end; this is for older bundles, and
    after the segmentor was replaced. Of simulated data, some training runs are rendered.
    """
    from casgan_dicom.lab.domain import learn_domain_of
    from casgan_dicom.model.bundle.files import DOMAIN_NAME

    learnt = learn_domain_of(bundle, data, log=say)
    tell(f"{bundle / DOMAIN_NAME}: learnt from {learnt.frames} frames")


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@option("--data", help="Simulated data to learn from: sim:SEED or sim:SEED,ct=FOLDER.")
@option("--of", help="In place of learning: the bundle that has learnt it, a name or a folder.")
@option("--steps", type=click.IntRange(min=1), default=STEPS, help="Steps of training.")
@option(
    "--chests",
    type=click.IntRange(min=FEWEST_CHESTS),
    default=CHESTS,
    help="Simulated chests, three patients before each.",
)
def engagement(*, bundle: Path, data: str | None, of: str | None, steps: int, chests: int) -> None:
    """Teach BUNDLE (a folder) to tell in which coronary artery a catheter lies.

    `convert --reference` refuses by it a run whose catheter is not seen in the artery of the reference, where
    no header tells the artery.
    """
    if (data is None) == (of is None):
        raise click.UsageError("give either --data to learn from or --of, a bundle that has learnt it")
    from casgan_dicom.lab.engagement import learn_engagement_of
    from casgan_dicom.model.bundle.bundle import load_bundle
    from casgan_dicom.model.bundle.files import ENGAGEMENT_NAME
    from casgan_dicom.model.bundle.writing import add_engagement

    if data is None:
        judge = load_bundle(of or "").engagement
        if judge is None:
            raise ConfigError(f"bundle '{of}' cannot tell where a catheter lies")
        add_engagement(bundle, judge)
        tell(f"{bundle / ENGAGEMENT_NAME}: of bundle '{of}'")
        return
    learnt = learn_engagement_of(bundle, data, steps=steps, backgrounds=chests, log=say)
    tell(
        f"{bundle / ENGAGEMENT_NAME}: of {learnt.catheters} held-out catheters {learnt.accepted:.1%} are "
        f"seen in their own artery, {1 - learnt.refused:.1%} in the other one"
    )


@weights.command()
@click.argument("bundle")
@option(
    "--format",
    "kind",
    required=True,
    type=click.Choice(get_args(Format)),
    envvar="CASGAN_WEIGHTS_EXPORT_FORMAT",
    help="ONNX, OpenVINO IR, a MONAI bundle (TorchScript), or the layout of a Hugging Face repository.",
)
@option("--out", required=True, type=PATH, help="Folder to make; one that exists is refused.")
@json_option("WEIGHTS_EXPORT", "the content of export.json")
def export(*, bundle: str, kind: Format, out: Path, as_json: bool) -> None:
    """Write BUNDLE (a name or a folder) in another format, measured against torch in float32.

    Output of every format is synthetic and for research only.
    """
    with need_extra("export"):
        from casgan_dicom.model.export.export import export_bundle

        result = export_bundle(bundle, kind, out)
    if as_json:
        show_json(dataclasses.asdict(result))
        return
    tell(f"{out}: {', '.join(result.sha256)}, export.json")
    for name, deviation in result.parity.items():
        tell(
            f"{name}: at most {deviation.maximum:.2g} from torch, mean {deviation.mean:.2g}, "
            f"on {result.parity_frames} seeded frames (limit {result.tolerance:g} of values in [-1, 1])"
        )
    tell(result.facts["notice"])
