"""Shipped bundles that share files: found, copied, exported, and never taken for a bundle's own."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle import shelf
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.shelf import (
    PICTURES_NAME,
    SEGMENTOR_NAME,
    SHARED,
    bundle_folder,
    shipped_bundles,
)
from casgan_dicom.model.export.export import export_bundle
from casgan_dicom.model.training.segmentor import segmentor_file, segmentor_source
from docs.shelf import WEIGHTS, share
from tests.model.bundles import write_bundle

PAGE = b"a page of pictures"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf of two bundles of one segmentor and one page, and a third; nothing is shared yet."""
    folder = tmp_path / "weights"
    for name, page, override in (
        ("first", PAGE, "seed=1"),
        ("second", PAGE, "seed=2"),
        ("third", b"another page", "segmentor.base=6"),
    ):
        bundle = write_bundle(folder / name, [override])
        (bundle / PICTURES_NAME).write_bytes(page)
        (bundle / "README.md").write_text(f"# {name}\n\n![simulated pictures]({PICTURES_NAME})\n")
    monkeypatch.setattr(shelf, "_shelf", lambda: folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_two_bundles_hold_is_kept_once_and_both_load_as_before(weights: Path) -> None:
    before = {name: load_bundle(name) for name in ("first", "second", "third")}
    third = files(weights / "third")

    share(weights)

    assert {path.name for path in (weights / "first").iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    assert len(list((weights / SHARED).iterdir())) == 2
    assert files(weights / "third") == third
    assert shipped_bundles() == ["first", "second", "third"]
    for name, bundle in before.items():
        after = load_bundle(name)
        assert (after.info, after.settings) == (bundle.info, bundle.settings)
        old, new = bundle.segmentor.state_dict(), after.segmentor.state_dict()
        assert all(torch.equal(value, new[key]) for key, value in old.items())


def test_the_card_shows_the_shared_page(weights: Path) -> None:
    share(weights)

    _, target = (weights / "first" / "README.md").read_text().rstrip(")\n").split("](")
    assert (weights / "first" / target).read_bytes() == PAGE


def test_sharing_again_changes_nothing(weights: Path) -> None:
    share(weights)
    before = files(weights)

    share(weights)

    assert files(weights) == before


def test_a_page_that_no_bundle_shows_any_more_goes(weights: Path) -> None:
    share(weights)
    for name in ("first", "second"):
        (weights / name / PICTURES_NAME).write_bytes(b"a new page")

    share(weights)

    pages = [path.read_bytes() for path in (weights / SHARED).glob("*.png")]
    assert pages == [b"a new page"]


def test_what_one_bundle_holds_alone_goes_back_to_it(weights: Path) -> None:
    before = files(weights / "first")
    share(weights)
    shutil.rmtree(weights / "second")

    share(weights)

    assert list((weights / SHARED).iterdir()) == []
    after = files(weights / "first")
    assert after.keys() == before.keys()
    assert [name for name in after if name != "config.json" and after[name] != before[name]] == []
    load_bundle("first")


def test_a_copy_of_a_bundle_that_shares_is_complete_while_the_package_is_there(
    weights: Path, tmp_path: Path
) -> None:
    share(weights)
    shutil.copytree(weights / "first", tmp_path / "copy")

    assert load_bundle(tmp_path / "copy").info == load_bundle("first").info


def test_a_file_of_its_own_goes_before_the_shared_one_and_is_checked(weights: Path, tmp_path: Path) -> None:
    """As in a bundle that an older version wrote."""
    own = tmp_path / "own"
    shutil.copytree(weights / "first", own)
    share(weights)
    assert load_bundle(own).info == load_bundle("first").info

    (own / SEGMENTOR_NAME).write_bytes(b"damaged")

    with pytest.raises(WeightsError, match=rf"bundle 'own': {SEGMENTOR_NAME} has SHA-256"):
        load_bundle(own)


@pytest.mark.parametrize("digest", ["../third/segmentor", "0" * 64, 3, None])
def test_only_a_shared_file_of_that_name_is_found(weights: Path, digest: object) -> None:
    share(weights)
    path = weights / "first" / "config.json"
    config = json.loads(path.read_text())
    config["sha256"][SEGMENTOR_NAME] = digest
    path.write_text(json.dumps(config))

    with pytest.raises(WeightsError, match=r"segmentor\.safetensors has SHA-256 \(no file\)"):
        load_bundle("first")
    assert segmentor_file("first") == weights / "first" / SEGMENTOR_NAME


def test_a_damaged_shared_file_is_named_as_the_file_of_the_bundle(weights: Path) -> None:
    share(weights)
    (shared,) = (weights / SHARED).glob("*.safetensors")
    shared.write_bytes(b"damaged")

    with pytest.raises(WeightsError, match=rf"bundle 'second': {SEGMENTOR_NAME} has SHA-256"):
        load_bundle("second")


def test_a_run_finds_the_segmentor_of_a_bundle_that_shares_it(weights: Path) -> None:
    digest = hashlib.sha256((weights / "first" / SEGMENTOR_NAME).read_bytes()).hexdigest()
    share(weights)

    for path in ("first", str(weights / "first")):
        assert hashlib.sha256(segmentor_file(path).read_bytes()).hexdigest() == digest
        assert segmentor_source(path) == "none: random weights"


def test_an_export_of_a_bundle_that_shares_is_that_of_one_that_does_not(
    weights: Path, tmp_path: Path
) -> None:
    export_bundle("first", "huggingface", tmp_path / "before")
    share(weights)

    export_bundle("first", "huggingface", tmp_path / "after")

    before, after = (files(tmp_path / name) for name in ("before", "after"))
    for content in (before, after):  # the one names its page, the other need not
        content.pop("export.json")
        assert json.loads(content.pop("config.json"))["name"] == "casgan-smoke"
    assert after == before


def test_every_shared_file_has_the_name_of_its_content_and_two_bundles_that_name_it() -> None:
    configs = [json.loads((bundle_folder(name) / "config.json").read_text()) for name in shipped_bundles()]
    named = [digest for config in configs for digest in config["sha256"].values()]

    for path in (WEIGHTS / SHARED).iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        assert named.count(path.stem) > 1
