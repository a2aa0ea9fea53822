"""What deploy/monitoring/ asks for is what a node tells: every name and every label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from casgan_dicom.node.state.deliveries import DeliveryState
from casgan_dicom.node.state.jobs import JobState
from casgan_dicom.node.web.metric_names import METRICS

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
ADDED = {"instance", "job", "le"}
"""Labels that Prometheus adds, and that of buckets."""
SAMPLES = {name: metric for metric in METRICS for name in metric.samples}
JOBS_IN_USE = "casgan_jobs"
_SELECTOR = re.compile(r"\b(casgan_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|=|!~|!=)\s*"([^"]*)"')


def alerts() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return loaded


def questions() -> Iterator[tuple[str, str, str]]:
    """Name, expression, and the text that quotes labels, of every alert and every line of every panel."""
    for rule in alerts():
        yield rule["alert"], rule["expr"], str(rule["annotations"])
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


QUESTIONS = list(questions())


def faults(expression: str, text: str) -> list[str]:
    """What of a question no node answers."""
    asked = _SELECTOR.findall(expression)
    found = [f"no metric {name}" for name, _ in asked if name not in SAMPLES]
    known = ADDED.union(*(SAMPLES[name].labels for name, _ in asked if name in SAMPLES))
    for name, selector in asked:
        labels = {*SAMPLES[name].labels, *ADDED} if name in SAMPLES else known
        found += [
            f"no label {label} of {name}" for label, _ in _MATCHER.findall(selector) if label not in labels
        ]
    made = set(re.findall(r'label_replace\(.*?, "(\w+)"', expression))
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    used = {label.strip() for each in grouped for label in each.split(",") if label.strip()}
    used |= set(re.findall(r"\$labels\.(\w+)", text)) | set(re.findall(r"\{\{(\w+)\}\}", text))
    return found + [f"no label {label}" for label in sorted(used - known - made)]


@pytest.mark.parametrize(
    ("name", "expression", "text"), QUESTIONS, ids=[f"{k} {q[0]}" for k, q in enumerate(QUESTIONS)]
)
def test_a_node_answers_what_is_asked(name: str, expression: str, text: str) -> None:
    assert faults(expression, text) == []
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


@pytest.mark.parametrize(
    ("expression", "text", "fault"),
    [
        ("casgan_absent > 0", "", "no metric casgan_absent"),
        ('casgan_jobs{status="done"}', "", "no label status of casgan_jobs"),
        ("sum by (destination) (casgan_jobs)", "", "no label destination"),
        ("casgan_jobs", "{{ $labels.role }} stands", "no label role"),
        ("casgan_frame_seconds", "", "no metric casgan_frame_seconds"),
    ],
)
def test_the_check_sees_what_no_node_answers(expression: str, text: str, fault: str) -> None:
    assert fault in faults(expression, text)


def test_states_that_are_asked_for_are_states() -> None:
    known = {"casgan_jobs": get_args(JobState), "casgan_oldest_job_age_seconds": get_args(JobState)}
    known["casgan_deliveries"] = get_args(DeliveryState)
    asked = 0
    for _, expression, _ in QUESTIONS:
        for name, selector in _SELECTOR.findall(expression):
            for label, values in _MATCHER.findall(selector):
                if label == "state":
                    assert set(values.split("|")) <= set(known[name])
                    asked += 1
    assert asked > 5


def test_bounds_that_are_asked_for_are_bounds() -> None:
    for _, expression, _ in QUESTIONS:
        for name, selector in _SELECTOR.findall(expression):
            for label, value in _MATCHER.findall(selector):
                if label == "le":
                    assert float(value) in SAMPLES[name].bounds


def test_every_metric_that_a_person_should_see_is_on_the_dashboard() -> None:
    shown = {
        name
        for panel in dashboard()["panels"]
        for t in panel["targets"]
        for name, _ in _SELECTOR.findall(t["expr"])
    }
    left_out = {
        "casgan_build_info",
        "casgan_last_received_timestamp_seconds",
    }  # of the list of nodes, of an alert

    assert {metric.name for metric in METRICS if not shown & set(metric.samples)} == left_out
    assert "casgan_build_info" in dashboard()["templating"]["list"][0]["query"]


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]

    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "do"}
        assert re.fullmatch(r"\d+[mhd]", rule.get("for", "1m"))


def test_panels_lie_beside_and_not_over_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & taken
        assert at["x"] + at["w"] <= 24
        taken |= own


def test_prometheus_asks_where_the_page_answers() -> None:
    loaded = yaml.safe_load((FOLDER / "prometheus.yaml").read_text(encoding="utf-8"))
    (scrape,) = loaded["scrape_configs"]

    assert loaded["rule_files"] == ["alerts.yaml"]
    assert scrape["metrics_path"] == "/metrics"
    jobs = {
        label[1]
        for _, expression, _ in QUESTIONS
        for label in _MATCHER.findall(expression)
        if label[0] == "job"
    }
    assert jobs == {scrape["job_name"]}
