"""The model card: what a bundle is, how it was trained, and what was measured.

Every figure comes from a run folder or from an evaluation's report; nothing is typed in here.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

from casgan_dicom.disk import whole_file, write_whole
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.bundle import is_simulated, load_bundle, simulator_text
from casgan_dicom.model.bundle.shelf import PICTURES_NAME
from casgan_dicom.model.methods.registry import method_class

COVER_LIMITS = (0.5, 2.0)
"""Drawn vessel cover over the truth's: within these the aim is met."""
CURVES = ("cyc_img", "rec", "gan_y", "gan_sem", "pair_dice", "pair_attention", "mean_attention")

SIMULATED_ONLY = "Trained on simulated X-ray cine only, never on real cine."

ENGAGEMENT_TOLD = (
    "engagement.safetensors tells whether a catheter leads into a given tree, for `convert --reference`; "
    "learnt on simulated patients with either artery engaged; figures in docs/benchmarks/reference.md"
)
"""What a card says of the network that tells the artery."""
NO_ENGAGEMENT = "not told"

_TEXT = """# {name}

**A synthetic angiogram is invented. It shows no vessel of the patient; where it looks real it is no more than
plausible. Research only: never for diagnosis, planning or any clinical decision.**

{verdict}

| | |
|---|---|
| Method | {method}: {title} |
| Recipe | {recipe} |
| Data | {data} |
| Simulator | {simulator} |
| Networks | {networks}, {size} x {size} px |
| Deployed parameters | {parameters:,} |
| Steps | {steps}, batch {batch}, {crops}, seed {seed} |
| Cue | {cue} x the physical trace of empty arteries in the input |
| SHA-256 of model.safetensors | `{sha256}` |
| Artery of a catheter | {engagement} |
| Licence of the weights | {licence} |

## Measured on held-out simulated runs

{frames} frames of {runs} simulated runs whose seeds no training saw; with `ct` backgrounds every chest, here
and in training, is a variant of one CT. An independent segmentor (other seeds and width) reads every row;
centreline tolerance 2 px at 256 px; cue strength {report_cue} in the input. `identity` is the input, `chance`
the tree of another run drawn on it, `oracle` a small U-Net trained on pairs (its own mask, not an image),
`truth` the simulator's contrast twin. `recall less chance` is the mean over runs, ± its standard error.

{table}
What the figures say:

{findings}

![simulated pictures](pictures.png)

## Learning curve

![learning curve](curve.png)

## Limits

{training} Where a coronary runs is only weakly written in a
non-contrast frame, so the vessels drawn are plausible at best and must not be measured. The paper's own
figures (XCAD) cannot be reproduced from this bundle.
"""


def write_card(bundle: Path, report: Path, run: Path | None = None) -> Path:
    """Write README.md, curve.png and pictures.png into a bundle.

    Parameters
    ----------
    bundle
        Folder of the bundle; its name in config.json is its row in the report, "-sSEED" after it where
        several seeds were measured.
    report
        Folder that ``casgan-dicom evaluate`` wrote.
    run
        Run folder that the bundle came from, for the learning curve; without it the bundle keeps its curve.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    ConfigError
        The report has no row of that name, no vessel scores, measured other weights, or a file is missing.
    """
    loaded = load_bundle(bundle)
    name = loaded.info.name
    figures, rows, name = _figures(report, name, loaded.info.weights_sha256)
    if run is not None:
        draw_curve(run / "metrics.csv", bundle / "curve.png")
    elif not (bundle / "curve.png").is_file():
        raise ConfigError(f"bundle '{bundle.name}' holds no curve.png", hint="pass the run folder with --run")
    write_whole(bundle / PICTURES_NAME, (report / PICTURES_NAME).read_bytes())
    settings, data, method = loaded.settings, loaded.info.data, method_class(loaded.info.method)
    findings = judge(rows[name], rows)
    text = _TEXT.format(
        **{key: getattr(loaded.info, key) for key in ("name", "method", "recipe", "data", "size", "licence")},
        title=method.title,
        training=SIMULATED_ONLY if is_simulated(data) else f"Trained on: {data}",
        simulator=simulator_text(loaded.info),
        verdict=_verdict(findings),
        networks=method.networks_text(settings),
        parameters=sum(p.numel() for p in loaded.generators.parameters()),
        steps=settings.optim.steps,
        batch=settings.optim.batch,
        crops="whole frames" if method.posed else f"crops of {settings.data.crop} px",
        seed=settings.seed,
        cue=settings.data.cue,
        sha256=loaded.info.weights_sha256,
        engagement=NO_ENGAGEMENT if loaded.engagement is None else ENGAGEMENT_TOLD,
        frames=figures["frames"],
        runs=figures["protocol"]["runs"],
        report_cue=figures["protocol"]["cue"],
        table=_read(report / "table.md"),
        findings="\n".join(f"* {'met' if met else '**missed**'}: {text}" for met, text in findings),
    )
    write_whole(bundle / "README.md", text.encode())
    return bundle / "README.md"


def _figures(report: Path, name: str, sha256: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]], str]:
    """Read a report that measured these weights: itself, its rows by name, and the name of theirs.

    That is the bundle's, followed by its seed or its digest where several of that name were measured.
    """
    try:
        figures = json.loads(_read(report / "report.json"))
        rows = {row["name"]: row for row in figures["rows"]}
        measured = {row["name"]: row["weights_sha256"] for row in figures["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"'{report.name}' holds no report of this version", hint="run `casgan-dicom evaluate` again"
        ) from error
    if figures["protocol"] is None:
        raise ConfigError("the report holds no vessel scores", hint="run `casgan-dicom evaluate` on sim:SEED")
    seeds = [row for row in rows if row.startswith(f"{name}-") and measured[row] == sha256]
    name = seeds[0] if seeds and measured.get(name) != sha256 else name
    if name not in rows:
        raise ConfigError(f"the report has no row '{name}', only {', '.join(rows)}")
    if measured[name] != sha256:
        raise ConfigError(
            f"the report's row '{name}' measured other weights, SHA-256 {measured[name]}, not {sha256}",
            hint="run `casgan-dicom evaluate` on this bundle",
        )
    return figures, rows, name


def judge(row: dict[str, Any], rows: dict[str, dict[str, Any]]) -> list[tuple[bool, str]]:
    """Compare a row with the aims: (met, sentence) for each."""
    truth, chance = rows["truth"], rows["chance"]
    ratio = row["cover"] / max(truth["cover"], 1e-9)
    findings = [
        (
            COVER_LIMITS[0] <= ratio <= COVER_LIMITS[1],
            f"vessel cover is {ratio:.2f} of the truth's, aim between 0.5 and 2",
        ),
        _beyond_chance(row, chance),
        (
            (row["on_heart"] or 0) > 0.5,
            f"{100 * (row['on_heart'] or 0):.0f} % of the drawn vessel lies on the heart, aim above 50 %",
        ),
    ]
    if row.get("place") is not None:
        findings.append(_beyond_another(row["place"]))
        findings += _of_plan(row)
    if row["attention_inside"] is not None:
        factor = row["attention_inside"] / max(row["attention_outside"], 1e-9)
        text = f"mean attention is {factor:.1f} times higher inside vessels than outside, aim 2"
        findings.append((factor >= 2, text))
    return findings


def _of_plan(row: dict[str, Any]) -> list[tuple[bool, str]]:
    """Whether a planned tree lies where it must; nothing for a method that plans none."""
    place, margin = row["place"], row["recall_margin"]["mean"]
    if place.get("artery_right") is None:
        return []
    artery, wide, cover = place["artery_right"], place["recall_wide"], place["cover_ratio"]
    found = [
        (margin >= 0.2, f"recall less chance is {margin:+.3f}, aim +0.200"),
        (row["dice"] >= 0.4, f"Dice is {row['dice']:.2f}, aim 0.40"),
        (wide >= 0.8, f"recall at 8 px is {wide:.2f}, aim 0.80"),
        (0.8 <= cover <= 1.25, f"a run's cover is {cover:.2f} of the true one, aim 0.8 to 1.25"),
        (artery >= 0.97, f"the artery is right in {100 * artery:.0f} %, aim 97 %"),
    ]
    for name, told, most in (
        ("angle_error_deg", "the view that the picture shows is {:.0f}° off in the median", 5),
        ("ostium_px", "the ostium is {:.0f} px of 256 off in the median", 3),
    ):
        value = place[name]
        if value is not None:
            found.append((value <= most, f"{told.format(value)}, aim {most}"))
    return found


def _beyond_chance(row: dict[str, Any], chance: dict[str, Any]) -> tuple[bool, str]:
    """Met only beyond two standard errors: the mean of thirty runs is above chance half the time anyway."""
    mean, error = row["recall_margin"]["mean"], row["recall_margin"]["error"]
    error = math.inf if error is None else error  # one run tells nothing
    text = f"centreline recall is {row['recall']:.3f}, chance {chance['recall']:.3f}"
    text += f", difference {mean:+.3f} ± {error:.3f} (standard error over runs)"
    return mean > 2 * error, f"{text}, aim more than two standard errors above chance"


def _beyond_another(place: dict[str, Any]) -> tuple[bool, str]:
    """Met where the patient's own tree is hit more often than another in the same view would hit it."""
    mean, error = place["less_another"], place["less_another_error"]
    error = math.inf if error is None else error
    text = f"centreline recall less that of another tree in the same view is {mean:+.3f} ± {error:.3f}"
    return mean > 2 * error, f"{text}, aim more than two standard errors above it"


def draw_curve(metrics: Path, picture: Path) -> None:
    """Draw the run's figures over its steps."""
    rows = list(csv.DictReader(_read(metrics).splitlines()))
    written = list(rows[0]) if rows else []
    names = [name for name in CURVES if name in written] or written[2:9]  # after step and lr_factor
    if not names:
        raise ConfigError(f"'{metrics.parent.name}': {metrics.name} holds no losses to draw")
    steps = [int(float(row["step"])) for row in rows]
    figure = Figure(figsize=(8, 1.6 * len(names)), dpi=80, layout="constrained")
    for axis, name in zip(
        figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0], names, strict=True
    ):
        axis.plot(steps, [float(row[name]) for row in rows], linewidth=0.8)
        axis.set_ylabel(name)
    figure.axes[-1].set_xlabel("step")
    with whole_file(picture) as file:
        figure.savefig(file, format="png")


def _verdict(findings: list[tuple[bool, str]]) -> str:
    missed = [text for met, text in findings if not met]
    if not missed:
        return f"**Aims for this kind of bundle: all {len(findings)} met on held-out simulated runs.**"
    return f"**Aims missed, {len(missed)} of {len(findings)}: {'; '.join(missed)}.**"


def _read(path: Path) -> str:
    if not path.is_file():
        raise ConfigError(
            f"no '{path.name}' in '{path.parent.name}'", hint="a card needs a run and an evaluation"
        )
    return path.read_text()
