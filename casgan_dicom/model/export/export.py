"""A bundle out in another format: complete and measured against torch, or not there."""

from __future__ import annotations

import dataclasses
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from casgan_dicom.disk import file_sha256, output_errors, sync_folder, sync_tree
from casgan_dicom.errors import OutputError, WeightsError
from casgan_dicom.model.bundle.bundle import Bundle, load_bundle
from casgan_dicom.model.bundle.deployed import TranslationNet
from casgan_dicom.model.bundle.shelf import PICTURES_NAME, bundle_file, bundle_folder
from casgan_dicom.model.engines.traced import TensorsOnly
from casgan_dicom.model.export.facts import card_text, facts_of, licence_text
from casgan_dicom.model.export.formats import Format
from casgan_dicom.model.export.huggingface import write_huggingface
from casgan_dicom.model.export.monai import Composed, write_monai
from casgan_dicom.model.export.parity import (
    FRAMES,
    SEED,
    TOLERANCE,
    Deviation,
    Maps,
    Net,
    Run,
    measure_parity,
)
from casgan_dicom.model.generator import draws_by_plan


@dataclass(frozen=True)
class Export:
    """What was written; the content of export.json."""

    format: Format
    """Which layout."""
    facts: dict[str, str]
    """Who the weights are, their normalisation and licence, and the notice (`facts_of`)."""
    parity: dict[str, Deviation]
    """Each output against torch in float32, network values in [-1, 1]."""
    parity_frames: int
    """How many seeded frames that was measured on …"""
    parity_seed: int
    """… and their seed."""
    tolerance: float
    """A maximum above this is refused."""
    torch: str
    """Version of torch that exported."""
    sha256: dict[str, str]
    """Of each file, by its path in the folder."""


def export_bundle(bundle: str | Path, kind: Format, out: Path) -> Export:
    """Write a bundle in another format.

    Parameters
    ----------
    bundle
        Name of a shipped bundle, or a folder.
    kind
        The format.
    out
        Folder to make.

    Raises
    ------
    WeightsError
        The bundle is unknown or damaged, its method draws what no graph of networks does, or the exported
        graph is too far from torch.
    OutputError
        `out` exists or cannot be written.
    ModuleNotFoundError
        A package of the extra [export] is not installed.
    """
    if out.exists() or out.is_symlink():
        raise OutputError(f"{out}: exists already", hint="pass a folder that is not there yet with --out")
    source = bundle_folder(bundle)
    loaded = load_bundle(bundle)
    if kind != "huggingface" and draws_by_plan(loaded):
        raise WeightsError(
            f"method '{loaded.info.method}' draws by a plan of a whole run, which '{kind}' cannot hold",
            hint="--format huggingface keeps all that this package draws with",
        )
    with _complete_or_absent(out) as folder:
        parity = _write(loaded, kind, source, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        export = Export(
            format=kind,
            facts=facts_of(loaded),
            parity=parity,
            parity_frames=FRAMES,
            parity_seed=SEED,
            tolerance=TOLERANCE,
            torch=torch.__version__,
            sha256={str(path.relative_to(folder)): file_sha256(path) for path in files},
        )
        text = json.dumps(dataclasses.asdict(export), indent=2) + "\n"
        (folder / "export.json").write_text(text, encoding="utf-8")
    return export


def _write(bundle: Bundle, kind: Format, source: Path, folder: Path) -> dict[str, Deviation]:
    """Write the files of a format and measure them."""
    net, size = TranslationNet(bundle).eval(), bundle.info.size
    tensors = TensorsOnly(net).eval()
    with torch.no_grad():
        names = ("drawn", "attention")[: len(tensors(torch.zeros(1, 1, size, size)))]
    if kind == "monai":
        drawn = Composed(net).eval()
        run = write_monai(bundle, net, source, folder)
        parity = measure_parity(lambda x: (drawn(x),), run, ("pred",), size)
    elif kind == "huggingface":
        write_huggingface(bundle, source, folder)
        parity = measure_parity(tensors, _read_back(folder), names, size)
    else:
        parity = measure_parity(tensors, _write_graph(bundle, kind, net, names, folder), names, size)
        (folder / "README.md").write_text(card_text(source, bundle), encoding="utf-8")
        (folder / "LICENSE").write_text(licence_text(bundle), encoding="utf-8")
    _copy_pictures(source, folder / "docs" if kind == "monai" else folder)
    return parity


def _write_graph(
    bundle: Bundle, kind: Format, net: TranslationNet, names: tuple[str, ...], folder: Path
) -> Run:
    facts, size = facts_of(bundle), bundle.info.size
    if kind == "onnx":
        from casgan_dicom.model.export.onnx_graph import write_onnx  # noqa: PLC0415 - an optional extra

        return write_onnx(TensorsOnly(net).eval(), names, size, facts, folder / "model.onnx")
    from casgan_dicom.model.export.openvino_ir import write_openvino  # noqa: PLC0415 - an optional extra

    return write_openvino(net, names, size, facts, folder / "model.xml")


def _read_back(folder: Path) -> Run:
    net: Net = TensorsOnly(TranslationNet(load_bundle(folder))).eval()

    def run(x: Maps) -> list[Maps]:
        with torch.no_grad():
            return [y.numpy() for y in net(torch.from_numpy(x))]

    return run


def _copy_pictures(source: Path, folder: Path) -> None:
    """Copy the pictures that the card shows."""
    for path in source.glob("*.png"):
        shutil.copyfile(path, folder / path.name)
    if (page := bundle_file(source, PICTURES_NAME)).is_file():
        shutil.copyfile(page, folder / PICTURES_NAME)


@contextmanager
def _complete_or_absent(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that becomes `out` when the block ends well, and goes when it does not."""
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        with output_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
            yield partial
            sync_tree(partial)
            partial.rename(out)
            sync_folder(out.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
