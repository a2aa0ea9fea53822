"""What a node can be measured by, as Prometheus reads it: made of ledger and disk at the moment of asking.

Nothing is counted here, so it does not matter which process answers, nor how often one was started again.
What is not known is absent; 0 is a number that was counted.
"""

from __future__ import annotations

import platform
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from casgan_dicom import __version__
from casgan_dicom.node.credentials import expiries
from casgan_dicom.node.process_names import roles
from casgan_dicom.node.settings import PRIORITIES, NodeSettings
from casgan_dicom.node.state.deliveries import FINISHED, DeliveryState
from casgan_dicom.node.state.figures import Figures, Received, Sent, Spread, figures
from casgan_dicom.node.state.jobs import JobState
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.storage import bytes_in
from casgan_dicom.node.state.supervisor import is_held
from casgan_dicom.node.web import metric_names as names
from casgan_dicom.node.web.metric_names import Metric

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Media type of the text."""
MEASURE_SECONDS = 300.0
"""Between two measurements of the folders: every file of them is looked at."""
OTHER = "other"
"""Whoever the configuration does not name."""
_UNDECIDED = "undecided"
_DAY_SECONDS = 86400.0

Values = Mapping[tuple[str, ...], float]
"""Values of a metric by those of its labels."""


class Metrics:
    """What one node can be measured by; threads may share it.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger) -> None:
        self.settings = settings
        """Of the node; a reload replaces them."""
        self._ledger = ledger
        self._layout = Layout(settings.data)
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}
        self._measured_at = float("-inf")

    def text(self, now: float) -> bytes:
        """All metrics, as text; `now` is in seconds since 1970. Raises LedgerError or OSError."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(self._families(now)))
        return generate_latest(registry)

    def _families(self, now: float) -> list[Family]:
        found, settings = figures(self._ledger, self.settings.host.name), self.settings
        free = shutil.disk_usage(self._layout.data).free
        up = found.processes if is_held(self._layout) else frozenset[str]()
        named = roles(settings)
        return [
            _family(names.BUILD, {(__version__, platform.python_version()): 1}),
            *_of_ledger(found, settings, now),
            _family(names.USED, {(area,): count for area, count in self._bytes(now).items()}),
            _family(names.FREE, {(): free}),
            _family(names.WATERMARK, {(): settings.listener.min_free_bytes}),
            _family(names.CERTIFICATES, _certificates(settings, now)),
            _family(names.PAUSED, _paused(found, settings)),
            _family(names.UP, {(role,): role in up for role in named}),
            _family(names.DEATHS, {(role,): found.deaths.get(role, 0) for role in named}),
        ]

    def _bytes(self, now: float) -> dict[str, int]:
        """Length of what lies in each part of the data folder, as it was at most some minutes ago."""
        with self._lock:
            if not 0 <= now - self._measured_at < MEASURE_SECONDS:
                layout = self._layout
                folders = {"spool": layout.spool, "outbox": layout.outbox, "quarantine": layout.quarantine}
                self._used = {area: bytes_in(folder) for area, folder in folders.items()}
                if books := list(layout.data.glob("*.sqlite*")):  # else they are elsewhere
                    self._used["databases"] = sum(map(_length, books))
                self._measured_at = now
            return dict(self._used)


class _Collected(Collector):
    """Metrics that are there already, as the library takes them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _of_ledger(found: Figures, settings: NodeSettings, now: float) -> Iterator[Family]:
    received = _by_sender(found.received, settings)
    yield _family(names.RECEIVED, {(peer,): each.instances for peer, each in received.items()})
    yield _family(names.RECEIVED_BYTES, {(peer,): each.bytes for peer, each in received.items()})
    yield _family(
        names.LAST_RECEIVED, {(peer,): each.last_at for peer, each in received.items() if each.instances}
    )
    yield _family(names.REJECTED, {(reason,): count for reason, count in found.rejected.items()})
    yield _family(names.QUARANTINED, {(): found.quarantined})
    yield _family(names.JOBS, _jobs(found))
    yield _family(names.OLDEST_JOB, {(state,): _age(at, now) for state, at in found.oldest.items()})
    yield _family(names.FRAMES, {(): found.frames})
    yield _family(names.SECONDS, {(): found.seconds})
    yield _histogram(names.FRAME_SECONDS_OF_CINES, found.frame_seconds)
    yield _histogram(names.SCORES_OF_CINES, found.scores)
    yield from _of_deliveries(_by_destination(found.sent, settings), now)


def _of_deliveries(sent: Mapping[str, Sent], now: float) -> Iterator[Family]:
    yield _family(names.SENT, {(name,): each.states.get(FINISHED, 0) for name, each in sent.items()})
    unfinished = [state for state in get_args(DeliveryState) if state != FINISHED]
    counts: Values = {
        (name, state): each.states.get(state, 0) for name, each in sent.items() for state in unfinished
    }
    yield _family(names.DELIVERIES, counts)
    yield _family(names.DELIVERY_FAILURES, {(name,): each.failures for name, each in sent.items()})
    ages: Values = {
        (name,): _age(each.waits_since, now) for name, each in sent.items() if each.waits_since is not None
    }
    yield _family(names.OLDEST_DELIVERY, ages)


def _length(path: Path) -> int:
    """Length of a file; 0 of one that is gone: SQLite takes away what lies beside a database."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _age(since: float, now: float) -> float:
    """How long ago something was; 0 for a clock that was set back."""
    return max(0.0, now - since)


def _by_sender(received: Mapping[str, Received], settings: NodeSettings) -> dict[str, Received]:
    """What came in, by senders that the configuration names; what others sent, together."""
    named = dict.fromkeys(
        [
            *(peer.ae_title for peer in settings.peers),
            *(inbox.ae_title for inbox in settings.inboxes),
            *(archive.ae_title or archive.name for archive in settings.archives),
            *([settings.web.ae_title] if settings.web.port else ()),
        ]
    )
    nothing = Received(0, 0, 0.0)
    merged = dict.fromkeys(named, nothing)
    for peer, each in received.items():
        name = peer if peer in named else OTHER
        there = merged.get(name, nothing)
        merged[name] = Received(
            there.instances + each.instances,
            there.bytes + each.bytes,
            max(there.last_at, each.last_at),
        )
    return merged


def _by_destination(sent: Mapping[str, Sent], settings: NodeSettings) -> dict[str, Sent]:
    """What goes where, by destinations that are configured; what went to others, together."""
    merged = {each.name: Sent({}, 0, None) for each in settings.destinations}
    for destination, each in sent.items():
        name = destination if destination in merged else OTHER
        there = merged.get(name, Sent({}, 0, None))
        states = {
            state: there.states.get(state, 0) + each.states.get(state, 0)
            for state in {*there.states, *each.states}
        }
        since = [at for at in (there.waits_since, each.waits_since) if at is not None]
        merged[name] = Sent(states, there.failures + each.failures, min(since, default=None))
    return merged


def _jobs(found: Figures) -> Values:
    """How many jobs there are by state and priority, also where there is none."""
    counts = {(state, priority): 0 for state in get_args(JobState) for priority in PRIORITIES}
    return counts | {(state, priority or _UNDECIDED): n for (state, priority), n in found.jobs.items()}


def _certificates(settings: NodeSettings, now: float) -> Values:
    return {
        (each.key,): each.days_left * _DAY_SECONDS
        for each in expiries(settings, now)
        if each.days_left is not None
    }


def _paused(found: Figures, settings: NodeSettings) -> Values:
    known = [
        *(("convert", device) for device in settings.worker.devices),
        *(("send", each.name) for each in settings.destinations),
    ]
    return {each: each in found.paused for each in known}


def _family(metric: Metric, values: Values) -> Family:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.text, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family


def _histogram(metric: Metric, found: Spread) -> Family:
    bounds = [*map(str, metric.bounds), "+Inf"]
    buckets = list(zip(bounds, map(float, (*found.up_to, found.count)), strict=True))
    return HistogramMetricFamily(metric.name, metric.text, buckets=buckets, sum_value=found.sum)
