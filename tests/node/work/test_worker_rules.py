"""What a worker does with a job under rules: converts it as its rule says, or keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as testing
from hypothesis import strategies as st
from pydicom import dcmread

from casgan_dicom.model.generator import Generator
from casgan_dicom.node.checks import load_node_settings
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, RuleSettings, StateSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.deliveries import Deliveries
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders, Repeat
from casgan_dicom.node.state.overview import JobRow, list_jobs
from casgan_dicom.node.state.receipts import Receipts, Received
from casgan_dicom.node.work.facts import Source
from casgan_dicom.node.work.recipe import recipe_of, recipe_of_node
from casgan_dicom.node.work.trial import try_rules
from casgan_dicom.node.work.worker import Worker
from tests.model.bundles import write_bundle
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.painter import DiscPainter
from tests.support.roadmap import DarkIsVessel, write_reference, write_target

DESTINATIONS = tuple(DestinationSettings(name, "127.0.0.1", 104, name.upper()) for name in ("a", "b"))
XA = RuleSettings("xa", header=("Modality = XA",), destinations=("b",))


@pytest.fixture
def settings(tmp_path: Path, state_settings: StateSettings) -> NodeSettings:
    return NodeSettings(data=tmp_path / "node", state=state_settings, destinations=DESTINATIONS)


@pytest.fixture
def ledger(settings: NodeSettings) -> Iterator[Ledger]:
    settings.data.mkdir()
    opened = open_ledger(settings)
    yield opened
    opened.close()


class Bundles:
    """Who makes the frames, and which bundles were asked for."""

    def __init__(self, painter: DiscPainter) -> None:
        self.painter = painter
        self.asked: list[str] = []

    def load(self, bundle: str) -> Generator:
        self.asked.append(bundle)
        return self.painter.as_generator()


def worker_of(settings: NodeSettings, ledger: Ledger, bundles: Bundles | None = None) -> Worker:
    load = (bundles or Bundles(DiscPainter())).load
    return Worker(settings, ledger, load, Layout(settings.data).work / "cpu")


def queued(ledger: Ledger, path: Path, series: str = "series") -> str:
    """A job of one cine that is complete."""
    row = Received(
        uid(path.name), "0" * 64, uid(series), path, 1, 6, None, "CATHLAB", "10.1.2.3", called="CASGAN"
    )
    job = Receipts(ledger, "w").enter(row, 1.0).job
    for opened in JobList(ledger).receiving(1000.0):
        assert JobList(ledger).close(opened.job, opened.series, 2.0)
    return job


def done(worker: Worker, ledger: Ledger, job: str, run: int = 1) -> JobRow:
    """The row of a job after its conversion."""
    worker.record(job, run, worker.attempt(job, run))
    return next(row for row in list_jobs(ledger) if row.job == job)


def goes_to(ledger: Ledger, job: str) -> list[str]:
    return sorted(each.destination for each in Deliveries(ledger).to_enqueue() if each.job == job)


def recipe_in(ledger: Ledger, job: str) -> str:
    return JobList(ledger).inputs(job).recipe


def test_a_rule_decides_form_and_destinations_and_its_name_is_written_down(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    rule = replace(XA, bits=12, compression="j2k", seg=False, sr=True)
    job = queued(ledger, write_xa(tmp_path / "a.dcm", moving_frames(6, bits=12), BitsStored=12))

    row = done(worker_of(replace(settings, rules=(rule,)), ledger), ledger, job)

    assert (row.state, row.rule) == ("delivering", "xa")
    assert goes_to(ledger, job) == ["b"]
    made = [dcmread(path, stop_before_pixels=True) for path in row.derived]
    assert sorted(ds.get("BitsStored", 0) for ds in made) == [0, 12]  # the report has no pixels
    assert recipe_in(ledger, job) == recipe_of(settings.worker, form="mf-gray12 j2k sr")


def test_a_series_about_which_no_rule_decides_is_kept_with_every_reason(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    rules = (replace(XA, header=("Modality = RF",)), replace(XA, name="other", calling_ae=("X",)))
    job = queued(ledger, write_xa(tmp_path / "a.dcm"))
    bundles = Bundles(DiscPainter())

    row = done(worker_of(replace(settings, rules=rules), ledger, bundles), ledger, job)

    assert (row.state, row.rule, row.derived) == ("kept", "", ())
    assert row.reasons == (
        "no rule holds for it: kept, and not converted",
        "rule 'xa': header 'Modality = RF' does not hold: it is 'XA'",
        "rule 'other': calling_ae X does not hold: it is CATHLAB",
    )
    assert goes_to(ledger, job) == []
    assert bundles.asked == []
    assert not (Layout(settings.data).outbox / job).exists()


def test_a_rule_that_keeps_is_named(settings: NodeSettings, ledger: Ledger, tmp_path: Path) -> None:
    keeping = RuleSettings("research", header=("Modality = XA",), convert=False)
    job = queued(ledger, write_xa(tmp_path / "a.dcm"))

    row = done(worker_of(replace(settings, rules=(keeping, XA)), ledger), ledger, job)

    assert (row.state, row.rule) == ("kept", "research")
    assert row.reasons == ("rule 'research' keeps it: not converted",)


@pytest.mark.parametrize(
    "rules", [(replace(XA, calling_ae=("X",)),), (replace(XA, convert=False, destinations=None),)]
)
def test_what_was_kept_is_converted_by_hand_in_the_plain_form_and_stays_in_the_outbox(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path, rules: tuple[RuleSettings, ...]
) -> None:
    job = queued(ledger, write_xa(tmp_path / "a.dcm"))
    worker = worker_of(replace(settings, rules=rules), ledger)
    assert done(worker, ledger, job).state == "kept"
    assert JobList(ledger).retry([], time()) == []  # it is no failure

    assert JobList(ledger).retry([job], time()) == [job]

    row = done(worker, ledger, job, run=2)
    assert (row.state, len(row.derived)) == ("done", 1)
    assert goes_to(ledger, job) == []
    assert recipe_in(ledger, job) == recipe_of(settings.worker)


def test_what_was_kept_and_started_by_hand_follows_a_rule_that_has_come_since(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, write_xa(tmp_path / "a.dcm"))
    worker = worker_of(replace(settings, rules=(replace(XA, calling_ae=("X",)),)), ledger)
    assert done(worker, ledger, job).state == "kept"

    worker.settings = replace(settings, rules=(XA,))
    JobList(ledger).retry([job], time())

    assert done(worker, ledger, job, run=2).rule == "xa"
    assert goes_to(ledger, job) == ["b"]


def test_a_bundle_that_a_person_names_goes_before_that_of_the_rule_and_the_rule_says_where_it_goes(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    ruled = replace(settings, rules=(replace(XA, bundle="casgan", bits=12),))
    first, bundles = queued(ledger, write_xa(tmp_path / "a.dcm")), Bundles(DiscPainter())
    worker = worker_of(ruled, ledger, bundles)
    done(worker, ledger, first)
    how = Repeat("casgan-atlas", recipe_of(settings.worker, "casgan-atlas"), "batch")
    job = Orders(ledger).repeat(first, how, 3.0)

    done(worker, ledger, job)

    assert set(bundles.asked) == {"casgan", "casgan-atlas"}
    assert goes_to(ledger, job) == ["b"]
    assert recipe_in(ledger, first) == recipe_of(settings.worker, "casgan", form="mf-gray12")
    assert recipe_in(ledger, job) == how.recipe
    assert Orders(ledger).made_with(first, how.recipe) == job


def test_what_was_kept_is_converted_with_a_bundle_that_a_person_names(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    kept, bundles = queued(ledger, write_xa(tmp_path / "a.dcm")), Bundles(DiscPainter())
    worker = worker_of(replace(settings, rules=(replace(XA, calling_ae=("X",)),)), ledger, bundles)
    assert done(worker, ledger, kept).state == "kept"
    how = Repeat("casgan", recipe_of(settings.worker, "casgan"), "batch")
    assert Orders(ledger).made_with(kept, how.recipe) is None

    job = Orders(ledger).repeat(kept, how, 3.0)

    assert done(worker, ledger, job).state == "done"
    assert (bundles.asked, goes_to(ledger, job)) == (["casgan"], [])
    assert Orders(ledger).made_with(kept, how.recipe) == job


def test_pixels_are_looked_at_only_where_a_rule_asks_and_by_its_bundle(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    filled = RuleSettings("filled", opacified="yes", bundle="casgan", convert=False)
    by_eye = replace(filled, bundle="", header=("Modality = RF",))
    job = queued(ledger, write_reference(tmp_path / "r.dcm"))
    bundles = Bundles(DarkIsVessel())
    rules = (by_eye, RuleSettings("plain", score_below=9.0, calling_ae=("X",)), replace(XA, opacified="no"))

    row = done(worker_of(replace(settings, rules=rules), ledger, bundles), ledger, job)

    assert bundles.asked == [""]
    assert row.state == "kept"
    assert row.reasons[-1] == "rule 'xa': opacified no does not hold: it is yes"


def test_a_series_whose_pixels_cannot_be_read_is_kept_and_not_taken_for_one_without_contrast(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, write_xa(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME9"))

    row = done(worker_of(replace(settings, rules=(replace(XA, opacified="no"),)), ledger), ledger, job)

    assert row.state == "kept"
    assert "opacified no is unknown" in row.reasons[1]
    assert "PhotometricInterpretation (0028,0004)" in row.reasons[1]


def test_a_rule_may_want_the_patients_own_vessels_where_the_node_invents_them(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    now = time()
    rule = replace(XA, mode="reference", header=("ContrastBolusAgent absent",))
    for name, path in (
        ("reference series", write_reference(tmp_path / "r.dcm")),
        ("series", write_target(tmp_path / "t.dcm")),
    ):
        row = Received(uid(name), "0" * 64, uid(name), path, 1, 6, None, "CATHLAB", "10.1.2.3")
        job = Receipts(ledger, "w").enter(row, now).job
        for opened in JobList(ledger).receiving(now):
            JobList(ledger).close(opened.job, opened.series, now)
    bundles = Bundles(DarkIsVessel())

    made = done(worker_of(replace(settings, rules=(rule,)), ledger, bundles), ledger, job)

    assert made.reasons == (f"vessels of series {uid('reference series')}, 10:42",)
    assert recipe_in(ledger, job) == recipe_of(replace(settings.worker, mode="reference"))


def test_a_second_revision_under_another_rule_supersedes_what_the_first_made(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    path = write_xa(tmp_path / "a.dcm")
    worker = worker_of(replace(settings, rules=(XA,)), ledger)
    first = done(worker, ledger, queued(ledger, path))
    worker.settings = replace(settings, rules=(replace(XA, name="later", compression="rle"),))
    corrected = write_xa(tmp_path / "again" / "a.dcm", PatientName="Corrected")
    row = Received(uid("a.dcm"), "1" * 64, uid("series"), corrected, 1, 6, None, "CATHLAB", "10.1.2.3")
    job = Receipts(ledger, "w2").enter(row, 5.0).job
    for opened in JobList(ledger).receiving(1000.0):
        JobList(ledger).close(opened.job, opened.series, 6.0)

    second = done(worker, ledger, job)

    assert (first.rule, second.rule, second.revision) == ("xa", "later", 2)
    replaced = dcmread(first.derived[0]).SeriesInstanceUID
    assert replaced in Path(second.derived[0]).read_bytes().decode("latin-1")
    assert Receipts(ledger, "w3").enter(row, 7.0).fresh is False  # again under another recipe: nothing to do


def test_an_attempt_after_a_crash_makes_the_same_objects(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    job = queued(ledger, write_xa(tmp_path / "a.dcm"))
    worker = worker_of(replace(settings, rules=(replace(XA, compression="rle"),)), ledger)

    first, second = worker.attempt(job, 1), worker.attempt(job, 1)

    uids = [[made["sop_uid"] for made in outcome["derived"]] for outcome in (first, second)]
    assert uids[0] == uids[1] != []


def test_a_conversion_keeps_the_settings_that_it_began_with(
    settings: NodeSettings, ledger: Ledger, tmp_path: Path
) -> None:
    worker = worker_of(replace(settings, rules=(XA,)), ledger)
    job = queued(ledger, write_xa(tmp_path / "a.dcm"))
    outcome = worker.attempt(job, 1)

    worker.settings = replace(settings, rules=(replace(XA, destinations=("a",)),))
    worker.record(job, 1, outcome)

    assert goes_to(ledger, job) == ["b"]


def test_the_recipe_at_reception_changes_with_the_rules_and_with_their_weights(
    settings: NodeSettings, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "own")
    ruled = [(), (XA,), (replace(XA, bits=12),), (XA, XA), (replace(XA, bundle=str(bundle)),)]

    recipes = [recipe_of_node(replace(settings, rules=rules)) for rules in ruled]
    write_bundle(bundle, attention_bias=-2)
    recipes.append(recipe_of_node(replace(settings, rules=ruled[-1])))

    assert recipes[0] == recipe_of(settings.worker)
    assert len(set(recipes)) == len(recipes)
    assert recipes[1] == recipe_of_node(replace(settings, rules=(XA,)))


# The rules of a file, and the answers of `test-rules` and of the node.

_HEADERS = st.fixed_dictionaries(
    {
        "StationName": st.sampled_from([None, "LAB1", "LAB2"]),
        "PositionerPrimaryAngle": st.sampled_from([None, -30, 0, 45.5]),
        "SeriesDescription": st.sampled_from([None, "Fluoro", "Left coronary"]),
    }
)
_CONDITIONS = st.sampled_from(
    [
        "StationName = LAB1", "StationName ~ LAB*", "StationName absent", "StationName != LAB2",
        "PositionerPrimaryAngle between -45 0", "PositionerPrimaryAngle > 0", "PositionerPrimaryAngle absent",
        "SeriesDescription contains fluoro", "SeriesDescription in Fluoro, Cine", "Modality = XA",
    ]
)  # fmt: skip
_RULES = st.lists(
    st.tuples(
        st.lists(_CONDITIONS, max_size=2),
        st.sampled_from(
            ["", 'calling_ae = ["CATH*"]', 'calling_ae = ["OTHER"]', 'address = ["10.1.0.0/16"]']
        ),
        st.sampled_from(
            [
                "",
                'opacified = "no"',
                "score_below = 0.5",
                "score_from = 0.5",
                'kind = ["cine"]',
                'kind = ["image"]',
            ]
        ),
        st.sampled_from(["", "convert = false", 'destinations = ["a"]', 'compression = "rle"']),
    ),
    min_size=1,
    max_size=4,
)


@testing(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=_HEADERS, rules=_RULES, score=st.sampled_from([None, 0.25, 0.75]))
def test_a_trial_and_the_node_give_the_same_answer(
    tmp_path_factory: pytest.TempPathFactory,
    header: dict[str, object],
    rules: list[tuple[list[str], str, str, str]],
    score: float | None,
) -> None:
    folder = tmp_path_factory.mktemp("trial")
    settings = _from_file(folder, rules)
    path = write_xa(folder / "a.dcm", moving_frames(3, 128, 128), **header)
    painter = DiscPainter()
    painter.score = score
    settings.data.mkdir()
    ledger = Ledger(Layout(settings.data).ledger)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Generator, "load", lambda *_args, **_kwargs: painter.as_generator())
        (trial,) = try_rules(
            settings, [path], Source("CATHLAB", "CASGAN", "10.1.2.3"), folder / "work"
        ).trials

    job = queued(ledger, path)
    row = done(worker_of(settings, ledger, Bundles(painter)), ledger, job)

    assert row.rule == trial.decision.name
    assert (row.state == "kept") is not trial.becomes.convert
    assert goes_to(ledger, job) == sorted(trial.becomes.destinations)
    assert trial.decision.open == ()
    ledger.close()


def _from_file(folder: Path, rules: list[tuple[list[str], str, str, str]]) -> NodeSettings:
    text = f'data = "{folder}/node"\n'
    for name in ("a", "b"):
        text += f'[[destinations]]\nname = "{name}"\nhost = "127.0.0.1"\nport = 104\nae_title = "PACS"\n'
    for k, (header, *others) in enumerate(rules):
        text += f'[[rules]]\nname = "r{k}"\nheader = {header}\n' + "".join(f"{line}\n" for line in others)
    (folder / "node.toml").write_text(text)
    return load_node_settings(folder / "node.toml", {})
