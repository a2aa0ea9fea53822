"""A roadmap that is honest passes; each way to hide whose vessels it shows, or of when, is a finding."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from casgan_dicom.verification.roadmap_rules import ROADMAP_RULES
from casgan_dicom.verification.verify import verify, verify_dataset, verify_file
from tests.support.derived import cine_of
from tests.support.honest import Fault, code, put, rewrite, write_cine
from tests.support.roadmap_objects import DRAWN, REFUSED, write_roadmap, write_roadmap_frame
from tests.support.validators import dciodvfy, of_our_making


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames, the last of them refused."""
    return write_roadmap(tmp_path_factory.mktemp("honest"), DRAWN, DRAWN, REFUSED)


def test_an_honest_roadmap_has_no_finding(honest: Path) -> None:
    assert verify_file(honest) == []
    assert of_our_making(dciodvfy(honest)) == []
    sources = [honest.parent / "target", honest.parent / "reference"]
    assert verify(honest, sources=sources) == {honest: []}


@pytest.mark.parametrize("k", [0, 1])
def test_an_honest_frame_of_one_has_none(tmp_path: Path, k: int) -> None:
    path = write_roadmap_frame(tmp_path, k, DRAWN, REFUSED)

    assert verify_file(path) == []
    assert of_our_making(dciodvfy(path)) == []


@pytest.mark.parametrize("frames", [(REFUSED, REFUSED), (DRAWN,), (REFUSED,)])
def test_runs_of_one_kind_of_frame_are_honest_too(tmp_path: Path, frames: tuple[object, ...]) -> None:
    path = write_roadmap(tmp_path, *frames)  # type: ignore[arg-type]  # what a parameter of a test may be

    assert verify_file(path) == []


def test_a_time_that_is_unknown_is_said_and_burned_in(tmp_path: Path) -> None:
    path = write_roadmap(tmp_path, DRAWN, clock="")

    assert verify_file(path) == []
    assert "own vessels of an unknown time" in dcmread(path).DerivationDescription


def said(**words: str) -> Fault:
    """Replace a part of Derivation Description."""

    def apply(ds: Dataset) -> None:
        for old, new in words.items():
            ds.DerivationDescription = ds.DerivationDescription.replace(old.replace("_", " "), new)

    return apply


def without_reference(ds: Dataset) -> None:
    ds.SourceImageSequence = [
        item for item in ds.SourceImageSequence if item.SpatialLocationsPreserved == "YES"
    ]
    for group in ds.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence[0].SourceImageSequence = [
            group.DerivationImageSequence[0].SourceImageSequence[0]
        ]


def in_frame(k: int, change: Callable[[Dataset], None]) -> Fault:
    return lambda ds: change(ds.PerFrameFunctionalGroupsSequence[k].DerivationImageSequence[0])


def claims_a_frame(ds: Dataset) -> None:
    groups = ds.PerFrameFunctionalGroupsSequence
    laid = groups[0].DerivationImageSequence[0].SourceImageSequence[1]
    groups[2].DerivationImageSequence[0].SourceImageSequence.append(copy.deepcopy(laid))


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("roadmap-reference", without_reference),
        ("roadmap-reference", put(DerivationCodeSequence=[code("123110")])),
        (
            "roadmap-reference",
            put(DerivationDescription=f"Synthetic angiogram: invented; no banner burned in. {'0' * 64}"),
        ),
        ("roadmap-location", lambda ds: put(SpatialLocationsPreserved="YES")(ds.SourceImageSequence[1])),
        ("roadmap-warning", said(not_the_current_filling="as it is now")),
        ("roadmap-warning", said(**{"of_10:42": "of now"})),
        ("roadmap-warning", put(ImageComments="Own vessels, for diagnosis")),
        ("roadmap-warning", put(SeriesDescription="AI SYNTHETIC angiogram - not for diagnosis")),
        ("roadmap-frames", lambda ds: ds.PerFrameFunctionalGroupsSequence.pop()),
        ("roadmap-frames", put(PerFrameFunctionalGroupsSequence=None)),
        ("roadmap-frames", in_frame(0, put(DerivationDescription="vessels"))),
        ("roadmap-frames", in_frame(1, lambda ds: ds.SourceImageSequence.pop())),
        ("roadmap-frames", claims_a_frame),
    ],
)
def test_what_is_hidden_is_found(honest: Path, rule: str, fault: Fault) -> None:
    ds = dcmread(honest)
    fault(ds)

    found = [finding for finding in verify_dataset(ds) if finding.rule in ROADMAP_RULES]

    assert rule in {finding.rule for finding in found}
    assert all(len(str(finding)) < 200 for finding in found)


def test_a_frame_that_calls_itself_refused_has_to_look_so(honest: Path, tmp_path: Path) -> None:
    """The last frame says NO ROADMAP in its pixels; in its header it no longer does."""
    path = tmp_path / "a.dcm"
    path.write_bytes(honest.read_bytes())

    rewrite(
        path,
        lambda ds: ds.PerFrameFunctionalGroupsSequence.__setitem__(2, ds.PerFrameFunctionalGroupsSequence[0]),
    )

    assert "banner-pixels" in {finding.rule for finding in verify_file(path)}


def test_invented_vessels_are_asked_nothing_of_this(tmp_path: Path) -> None:
    path = write_cine(cine_of(tmp_path), tmp_path / "invented.dcm")

    assert verify_file(path) == []


@pytest.mark.parametrize("given", [["target"], ["target", "other"]])
def test_the_run_whose_vessels_are_shown_has_to_be_there_and_of_the_patient(
    honest: Path, tmp_path: Path, given: list[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a").write_bytes((honest.parent / "reference" / "a").read_bytes())
    rewrite(other / "a", put(PatientID="SOMEBODY-ELSE"))
    places = {"target": honest.parent / "target", "other": other}

    found = verify(honest, sources=[places[name] for name in given])[honest]

    wanted = "reference-identity" if "other" in given else "reference-missing"
    assert wanted in {finding.rule for finding in found}
    assert "SOMEBODY" not in "".join(map(str, found))
