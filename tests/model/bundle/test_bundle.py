"""Bundles: what is written is what is read, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from casgan_dicom.disk import file_sha256
from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.files import DOMAIN_NAME, ENGAGEMENT_NAME, WEIGHT_FILES
from casgan_dicom.model.bundle.shelf import ALIASES, RETIRED, bundle_folder, shipped_bundles
from casgan_dicom.model.bundle.writing import add_domain, add_engagement, replace_segmentor, save_bundle
from casgan_dicom.model.domain.statistics import DomainStatistics, fit_statistics
from casgan_dicom.model.engagement.judge import EngagementJudge
from casgan_dicom.model.methods import registry
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.networks.engagement import EngagementNet
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.simulator.version import SIMULATOR
from casgan_dicom.model.tables import settings_from_dict
from tests.model.bundles import write_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "small")


def edit(folder: Path, **changes: object) -> None:
    """Change config.json; a value of None removes the key."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def replace(path: Path, content: bytes) -> None:
    """Put other bytes in a weight file and their SHA-256 in config.json, as a forger would."""
    path.write_bytes(content)
    config = json.loads((path.parent / "config.json").read_text())
    edit(path.parent, sha256=config["sha256"] | {path.name: hashlib.sha256(content).hexdigest()})


def test_a_bundle_holds_the_weights_that_were_saved(folder: Path) -> None:
    bundle = load_bundle(folder)

    for name, net in zip(WEIGHT_FILES, (bundle.generators, bundle.segmentor), strict=True):
        saved = load_file(folder / name)
        assert saved.keys() == net.state_dict().keys()
        assert all(torch.equal(saved[key], value) for key, value in net.state_dict().items())
        assert not net.training
        assert not any(p.requires_grad for p in net.parameters())


def test_only_networks_that_translate_are_kept(folder: Path) -> None:
    networks = {key.split(".")[0] for key in load_file(folder / "model.safetensors")}

    assert networks == {"enc_bg", "predictor", "vessel"}


def test_a_bundle_says_who_it_is(folder: Path) -> None:
    info = load_bundle(folder).info

    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (info.name, info.method, info.size) == ("casgan-smoke", "casgan", 256)
    assert info.weights_sha256 == digest
    assert info.data == "none: random weights"


@pytest.mark.parametrize(
    ("data", "licence"),
    [("Simulated coronary X-ray cine.", "Apache-2.0"), ("Frames from two folders.", "NOASSERTION")],
)
def test_no_licence_is_asserted_for_weights_that_saw_frames_of_others(
    tmp_path: Path, data: str, licence: str
) -> None:
    assert load_bundle(write_bundle(tmp_path / "bundle", data=data)).info.licence == licence


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_a_changed_byte_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(WeightsError, match=rf"'small': {name} has SHA-256 [0-9a-f]{{64}}") as caught:
        load_bundle(folder)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(WeightsError, match=rf"{name} has SHA-256 \(no file\)"):
        load_bundle(folder)


@pytest.mark.parametrize("schema", [0, 3, "1", True, None])
def test_another_schema_is_refused(folder: Path, schema: object) -> None:
    edit(folder, schema=schema)

    with pytest.raises(WeightsError, match="this version reads 1 and 2"):
        load_bundle(folder)


@pytest.mark.parametrize(("frame_size", "size"), [(64, 64), (286, 284)])
def test_networks_see_frames_at_the_size_they_were_trained_at(
    tmp_path: Path, frame_size: int, size: int
) -> None:
    """Rounded to the multiple of 4 that the encoder needs."""
    folder = write_bundle(tmp_path / "small", [f"data.frame_size={frame_size}"])
    assert load_bundle(folder).info.size == size


@pytest.mark.parametrize("key", ["name", "size", "sha256", "settings", "licence"])
def test_a_missing_entry_is_named(folder: Path, key: str) -> None:
    edit(folder, **{key: None})

    with pytest.raises(WeightsError, match=f"lacks {key}"):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(WeightsError, match=r"'small': config\.json"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("sha256", "text", "sha256 is no dict"),
        ("settings", "text", "settings is no dict"),
        ("name", 5, "name is no str"),
        ("size", "64", "size is no int"),
        ("size", True, "size is no int"),
        ("size", 0, "size is 0, want a multiple of 4 from 32"),
        ("size", 62, "size is 62, want a multiple of 4 from 32"),
    ],
)
def test_an_entry_of_the_wrong_kind_is_refused(folder: Path, key: str, value: object, told: str) -> None:
    edit(folder, **{key: value})

    with pytest.raises(WeightsError, match=rf"in config\.json {told}"):
        load_bundle(folder)


def test_settings_that_mean_nothing_are_refused(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())["settings"]
    edit(folder, settings=settings | {"net": settings["net"] | {"ngf": -1}})

    with pytest.raises(WeightsError, match=r"net\.ngf is -1"):
        load_bundle(folder)


def test_a_bundle_does_not_tell_where_its_segmentor_lay(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "small", ["segmentor.path=/somewhere/private.safetensors"])
    assert "private" not in (folder / "config.json").read_text()


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", method="stegogan")
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["stego"]["layer"] = 7
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"bundle 'bundle': stego\.layer is 7"):
        load_bundle(folder)


def test_settings_that_this_version_does_not_know_are_refused(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())["settings"]
    edit(folder, settings=settings | {"flux": 1})

    with pytest.raises(WeightsError, match="unknown key 'flux'"):
        load_bundle(folder)


def test_weights_of_another_size_are_refused(folder: Path, tmp_path: Path) -> None:
    wider = write_bundle(tmp_path / "wider", ["net.ngf=8"])
    replace(folder / "model.safetensors", (wider / "model.safetensors").read_bytes())

    with pytest.raises(WeightsError, match=r"model\.safetensors does not fit its config\.json"):
        load_bundle(folder)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="bundle 'nosuch'") as caught:
        bundle_folder("nosuch")

    assert "casgan" in caught.value.hint


class _Mine:
    """A pickle that leaves a file behind when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_a_pickle_in_place_of_weights_is_refused_and_not_run(folder: Path, tmp_path: Path, name: str) -> None:
    trace = tmp_path / "ran"
    enough = (folder / name).stat().st_size  # behind its end, a pickle may hold anything
    replace(folder / name, pickle.dumps(_Mine(trace)) + bytes(enough))

    with pytest.raises(WeightsError, match="does not fit"):
        load_bundle(folder)
    assert not trace.exists()
    pickle.loads((folder / name).read_bytes())
    assert trace.exists()  # it would have run


def test_loading_calls_no_unpickler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was read")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)

    assert load_bundle(folder).info.name == "casgan-smoke"


def test_every_shipped_bundle_loads_and_stays_small() -> None:
    names = shipped_bundles()
    if not names:
        pytest.skip("no bundle is shipped in this tree")
    for name in names:
        bundle = load_bundle(name)
        assert bundle.info.name == name
        assert sum(p.numel() for p in bundle.generators.parameters()) < 3e6
        assert sum(f.stat().st_size for f in bundle_folder(name).iterdir()) < 25e6


# --- arrays beside the networks, and the simulator --------------------------------------------------------

LIBRARY = "library.safetensors"


class Keeper(CasGan):
    """A method that keeps a library of arrays."""

    extra_files = (LIBRARY,)


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> dict[str, npt.NDArray[Any]]:
    """Arrays of the kinds that a library holds, while the method that keeps them stands in for casgan."""
    monkeypatch.setattr(registry, "BUILT_IN", registry.BUILT_IN | {"casgan": f"{__name__}:Keeper"})
    rng = np.random.default_rng(5)
    points = rng.normal(size=(7, 5, 3)).astype(np.float16)
    return {"points": points[:, ::2], "parents": np.arange(9, dtype=np.int32), "seed": np.array([2**40])}


@pytest.fixture
def library(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> Path:
    """A bundle with these arrays, of simulated data."""
    settings = load_bundle_settings(folder)
    nets, segmentor = (load_file(folder / name) for name in WEIGHT_FILES)
    save_bundle(folder, settings, nets, segmentor, data="Simulated cine.", extra={LIBRARY: arrays})
    return folder


def test_arrays_of_a_method_come_back_as_they_were(
    library: Path, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    kept = load_bundle(library).extra[LIBRARY]

    assert kept.keys() == arrays.keys()
    for name, array in arrays.items():
        assert kept[name].dtype == array.dtype
        np.testing.assert_array_equal(kept[name], array)


@pytest.mark.parametrize("change", ["byte", "missing", "unnamed", "no arrays"])
def test_arrays_that_are_not_those_that_were_saved_are_refused(library: Path, change: str) -> None:
    path = library / LIBRARY
    if change == "byte":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif change == "missing":
        path.unlink()
    elif change == "unnamed":
        digests = json.loads((library / "config.json").read_text())["sha256"]
        edit(library, sha256={name: digest for name, digest in digests.items() if name != LIBRARY})
    else:
        replace(path, b"rubbish of no kind at all")

    with pytest.raises(
        WeightsError, match=rf"'small': ({LIBRARY} ha|has no {LIBRARY}|{LIBRARY} holds no arrays)"
    ):
        load_bundle(library)


def test_a_file_that_only_config_json_knows_is_checked_too(folder: Path) -> None:
    replace(folder / "notes.bin", b"1")
    load_bundle(folder)
    (folder / "notes.bin").write_bytes(b"2")

    with pytest.raises(WeightsError, match=r"notes\.bin has SHA-256"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname", "a/b", "", ".."])
def test_a_file_outside_the_folder_is_no_file_of_a_bundle(folder: Path, name: str) -> None:
    digests = json.loads((folder / "config.json").read_text())["sha256"]
    edit(folder, sha256=digests | {name: "0" * 64})

    with pytest.raises(WeightsError, match="no file of a bundle"):
        load_bundle(folder)


@pytest.mark.parametrize("extra", [{}, {"other.safetensors": {}}, {LIBRARY: {}, "more.safetensors": {}}])
def test_a_bundle_is_not_saved_with_other_arrays_than_its_method_keeps(
    folder: Path, arrays: dict[str, npt.NDArray[Any]], extra: dict[str, Any]
) -> None:
    settings = load_bundle_settings(folder)
    before = (folder / "config.json").read_bytes()

    with pytest.raises(ValueError, match=r"keeps \['library"):
        save_bundle(folder, settings, {}, {}, data="none", extra=extra)
    assert (folder / "config.json").read_bytes() == before


def load_bundle_settings(folder: Path) -> TrainSettings:
    """Settings of a bundle, without its files."""
    return settings_from_dict(json.loads((folder / "config.json").read_text())["settings"])


@pytest.mark.parametrize(
    ("data", "schema", "stated", "simulator"),
    [
        ("Simulated cine.", 2, SIMULATOR, SIMULATOR),
        ("Simulated cine.", 2, 7, 7),
        ("Frames from a folder.", 2, None, None),
        ("Simulated cine.", 1, None, 1),
        ("Frames from a folder.", 1, None, None),
    ],
)
def test_a_bundle_says_which_simulator_made_its_data(
    tmp_path: Path, data: str, schema: int, stated: int | None, simulator: int | None
) -> None:
    folder = write_bundle(tmp_path / "bundle", data=data)
    assert ("simulator" in json.loads((folder / "config.json").read_text())) == data.startswith("Simulated")
    edit(folder, schema=schema, simulator=stated)

    assert load_bundle(folder).info.simulator == simulator


def test_a_simulator_without_a_number_is_refused(folder: Path) -> None:
    edit(folder, simulator="the new one")
    with pytest.raises(WeightsError, match="simulator is no int"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "name", [*ALIASES, *RETIRED, *shipped_bundles(), "ATLAS", "casgan desk", "atlas\N{EN DASH}desk", "ａtlas"]
)
def test_no_other_bundle_passes_for_a_shipped_one(folder: Path, name: str) -> None:
    edit(folder, name=name)

    with pytest.raises(
        WeightsError, match=f"calls itself '{name}', a name of a shipped bundle, and is another"
    ):
        load_bundle(folder)


@pytest.mark.parametrize("name", shipped_bundles())
def test_a_copy_of_a_shipped_bundle_is_what_it_says_until_it_is_changed(tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(bundle_folder(name), tmp_path / name)
    assert load_bundle(copy).info.name == name
    config = json.loads((copy / "config.json").read_text())
    weights = copy / "model.safetensors"
    tensors = load_file(weights)
    first = sorted(tensors)[0]
    save_file(tensors | {first: tensors[first] + 1}, weights)
    config["sha256"]["model.safetensors"] = file_sha256(weights)
    (copy / "config.json").write_text(json.dumps(config))

    with pytest.raises(WeightsError, match="and is another"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("size", 4096, "size is 4096, want a multiple of 4 from 32 to 2048"),
        ("size", 10**12, "size is 1000000000000, want"),
        ("segmentor_size", 33, "segmentor_size is 33, want a multiple of 4 from 32 to 2048"),
        ("name", "a" * 65, "name has 65 characters, want at most 64"),
        ("name", "a\x1b[2J", "name has 5 characters, want at most 64, all of them printable"),
        ("data", "line\nforged", "data has 11 characters, want at most 4096, all of them printable"),
        ("version", "1" * 65, "version has 65 characters"),
    ],
)
def test_what_a_bundle_says_of_itself_is_bounded(folder: Path, key: str, value: object, told: str) -> None:
    edit(folder, **{key: value})

    with pytest.raises(WeightsError, match=re.escape(told)):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("table", "key", "value", "told"),
    [
        ("net", "ngf", 10**9, "net.ngf is 1e+09, want at most 1024"),
        ("net", "n_blocks", 10**9, "net.n_blocks is 1e+09, want at most 256"),
        ("segmentor", "base", 10**6, "segmentor.base is 1e+06, want at most 1024"),
        ("data", "frame_size", 10**6, "data.frame_size is 1e+06, want at most 4096"),
        ("net", "ngf", 1024, "its settings mean networks of"),
        ("segmentor", "base", 1024, "its settings mean networks of"),
    ],
)
def test_settings_that_ask_for_all_memory_are_refused_before_anything_is_built(
    folder: Path, table: str, key: str, value: int, told: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["settings"][table][key] = value
    (folder / "config.json").write_text(json.dumps(config))
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(WeightsError, match=re.escape(told)):
        load_bundle(folder)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 200_000  # KiB


def test_a_config_of_any_length_is_not_read(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text() + " " * 2**20)

    with pytest.raises(WeightsError, match="at most 1048576 are read"):
        load_bundle(folder)


def some_statistics(folder: Path) -> DomainStatistics:
    """Of features that are no bundle's, for the segmentor of this one."""
    rng = np.random.default_rng(1)
    sha256 = json.loads((folder / "config.json").read_text())["sha256"]["segmentor.safetensors"]
    return fit_statistics(rng.normal(size=(90, 6)), rng.normal(3, 1, size=(40, 6)), sha256)


def test_what_is_known_of_the_training_frames_is_a_file_like_the_others(folder: Path) -> None:
    assert load_bundle(folder).domain is None

    add_domain(folder, statistics := some_statistics(folder))

    read = load_bundle(folder).domain
    assert read is not None
    np.testing.assert_array_equal(read.limits, statistics.limits)
    (folder / DOMAIN_NAME).write_bytes((folder / DOMAIN_NAME).read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=f"{DOMAIN_NAME} has SHA-256"):
        load_bundle(folder)


def test_statistics_of_another_segmentor_are_not_used(folder: Path) -> None:
    """Its features are others: nothing is judged, which is not "nothing is foreign"."""
    add_domain(folder, some_statistics(folder))
    segmentor = folder / "segmentor.safetensors"
    other = {key: value + 1 for key, value in load_file(segmentor).items() if value.is_floating_point()}
    replace(segmentor, save(load_file(segmentor) | other))

    assert load_bundle(folder).domain is None
    with pytest.raises(WeightsError, match="another segmentor"):
        add_domain(folder, fit_statistics(np.eye(80), np.eye(80) + 3, "00" * 32))


def test_a_file_of_statistics_that_holds_something_else_is_refused(folder: Path) -> None:
    add_domain(folder, some_statistics(folder))
    replace(folder / DOMAIN_NAME, save({"mean": torch.zeros(3)}))

    with pytest.raises(WeightsError, match=f"{DOMAIN_NAME} lacks"):
        load_bundle(folder)


def test_what_tells_the_artery_of_a_catheter_is_a_file_like_the_others(folder: Path) -> None:
    assert load_bundle(folder).engagement is None

    add_engagement(folder, judge := EngagementJudge(EngagementNet(8), 1.25))

    read = load_bundle(folder).engagement
    assert read is not None
    assert read.limit == 1.25
    for name, value in judge.net.state_dict().items():
        assert torch.equal(value, read.net.state_dict()[name])
    (folder / ENGAGEMENT_NAME).write_bytes((folder / ENGAGEMENT_NAME).read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=f"{ENGAGEMENT_NAME} has SHA-256"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "held", [{"limit": torch.zeros(1)}, {"mean": torch.zeros(3)}, {"limit": torch.zeros(2)}]
)
def test_a_file_that_holds_no_such_network_is_refused(folder: Path, held: dict[str, torch.Tensor]) -> None:
    add_engagement(folder, EngagementJudge(EngagementNet(8), 0.0))
    replace(folder / ENGAGEMENT_NAME, save(held))

    with pytest.raises(WeightsError, match=f"{ENGAGEMENT_NAME} holds no such network"):
        load_bundle(folder)


def test_a_bundle_takes_the_segmentor_of_another(folder: Path, tmp_path: Path) -> None:
    """The kind of its training frames was told by the features of the one before."""
    edit(folder, data="XCAD. Segmentor: frames of somebody.")
    add_domain(folder, some_statistics(folder))
    wider = write_bundle(
        tmp_path / "wider", ["segmentor.base=6", "data.frame_size=96"], data="Theirs. Segmentor: Others."
    )

    replace_segmentor(folder, wider)

    taken, theirs = load_bundle(folder), load_bundle(wider)
    assert all(
        torch.equal(value, taken.segmentor.state_dict()[name])
        for name, value in theirs.segmentor.state_dict().items()
    )
    assert (taken.info.size, taken.info.segmentor_size) == (256, 96)
    assert taken.info.data == "XCAD. Segmentor: Others."
    assert taken.domain is None

    replace_segmentor(folder, write_bundle(tmp_path / "alike", data="XCAD."))

    assert load_bundle(folder).info.data == "XCAD."
    assert load_bundle(folder).info.segmentor_size is None


def test_a_segmentor_that_learnt_from_frames_of_others_takes_the_licence_away(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "ours", data="Simulated cine.")
    assert load_bundle(folder).info.licence == "Apache-2.0"

    replace_segmentor(folder, write_bundle(tmp_path / "theirs", data="Simulated cine. Segmentor: XCAD."))

    info = load_bundle(folder).info
    assert (info.licence, info.data) == ("NOASSERTION", "Simulated cine. Segmentor: XCAD.")


def test_neither_of_two_bundles_may_be_damaged(folder: Path, tmp_path: Path) -> None:
    weights = folder / WEIGHT_FILES[0]
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")

    with pytest.raises(WeightsError, match="SHA-256"):
        replace_segmentor(folder, write_bundle(tmp_path / "other"))


def test_a_segmentor_that_sees_other_network_values_is_not_taken(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(WeightsError, match="other network values"):
        replace_segmentor(folder, write_bundle(tmp_path / "other", ["normalisation.low=-0.5"]))

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
