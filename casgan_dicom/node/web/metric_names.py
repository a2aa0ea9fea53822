"""Every metric of a node: its name, what it is, and its labels. ``docs/metrics.md`` is made of this.

Names follow the conventions of Prometheus: base units, ``_total`` for what only grows. No label holds a UID,
or anything of a patient: who sends is named if the configuration names him, and ``other`` if not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.state.figures import FRAME_SECONDS, SCORES

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    """As it is written."""
    kind: Kind
    """A counter only grows; a gauge is what is now; a histogram counts values by their size."""
    text: str
    """What it tells."""
    labels: tuple[str, ...] = ()
    """Names of its labels."""
    bounds: tuple[float, ...] = ()
    """Of a histogram."""

    @property
    def samples(self) -> tuple[str, ...]:
        """The names under which its values stand, for whoever asks for them."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


BUILD = Metric("casgan_build_info", "gauge", "Always 1; the version of the program.", ("version", "python"))
RECEIVED = Metric(
    "casgan_instances_received_total",
    "counter",
    "Instances that came in, by AE title of the sender; what was there already is not counted.",
    ("peer",),
)
RECEIVED_BYTES = Metric(
    "casgan_received_bytes_total", "counter", "Length of the instances that came in.", ("peer",)
)
LAST_RECEIVED = Metric(
    "casgan_last_received_timestamp_seconds",
    "gauge",
    "When the last instance came in, seconds since 1970; absent where none ever did.",
    ("peer",),
)
REJECTED = Metric(
    "casgan_rejected_total", "counter", "Associations and connections that were not let in.", ("reason",)
)
QUARANTINED = Metric(
    "casgan_quarantined_instances", "gauge", "Data sets in quarantine: nothing could be made of them."
)
JOBS = Metric(
    "casgan_jobs",
    "gauge",
    "Jobs, one for each revision of a series; priority is undecided while nobody has said one.",
    ("state", "priority"),
)
OLDEST_JOB = Metric(
    "casgan_oldest_job_age_seconds",
    "gauge",
    "How long the oldest job in a state has been in it; absent where there is none, and for final states.",
    ("state",),
)
FRAMES = Metric("casgan_frames_converted_total", "counter", "Frames that were converted.")
SECONDS = Metric(
    "casgan_conversion_seconds_total", "counter", "Seconds that conversions took, from reading to the outbox."
)
FRAME_SECONDS_OF_CINES = Metric(
    "casgan_frame_seconds",
    "histogram",
    "Seconds for a frame, the mean of a cine; a value for each that was converted.",
    bounds=FRAME_SECONDS,
)
SCORES_OF_CINES = Metric(
    "casgan_out_of_domain_score",
    "histogram",
    "Out-of-domain scores, a value for each cine that was judged: above 1 it is foreign to the bundle.",
    bounds=SCORES,
)
SENT = Metric("casgan_deliveries_sent_total", "counter", "Deliveries that are finished.", ("destination",))
DELIVERIES = Metric(
    "casgan_deliveries",
    "gauge",
    "Deliveries that are not finished: waiting, committing, dead (dead letters) or cancelled.",
    ("destination", "state"),
)
DELIVERY_FAILURES = Metric(
    "casgan_delivery_failures_total",
    "counter",
    "Attempts that did not bring everything to a destination.",
    ("destination",),
)
OLDEST_DELIVERY = Metric(
    "casgan_oldest_delivery_age_seconds",
    "gauge",
    "How long the oldest delivery that is not finished has waited; absent where none waits.",
    ("destination",),
)
USED = Metric(
    "casgan_disk_used_bytes",
    "gauge",
    "Length of the files in a part of the data folder, measured every few minutes.",
    ("area",),
)
FREE = Metric("casgan_disk_free_bytes", "gauge", "Free space on the disk of the data folder.")
WATERMARK = Metric(
    "casgan_disk_watermark_bytes", "gauge", "With less free space, instances are refused (min_free_bytes)."
)
CERTIFICATES = Metric(
    "casgan_certificate_left_seconds",
    "gauge",
    "Until a configured certificate expires, in whole days; absent where its file cannot be read.",
    ("setting",),
)
PAUSED = Metric(
    "casgan_paused", "gauge", "1 while a person has paused it: conversions of a device, or a destination.",
    ("what", "name"),
)  # fmt: skip
UP = Metric("casgan_process_up", "gauge", "1 while a process of the node runs, else 0.", ("role",))
DEATHS = Metric(
    "casgan_process_restarts_total", "counter", "Times that a process died and was started again.", ("role",)
)
METRICS: tuple[Metric, ...] = (
    BUILD, RECEIVED, RECEIVED_BYTES, LAST_RECEIVED, REJECTED, QUARANTINED, JOBS, OLDEST_JOB, FRAMES, SECONDS,
    FRAME_SECONDS_OF_CINES, SCORES_OF_CINES, SENT, DELIVERIES, DELIVERY_FAILURES, OLDEST_DELIVERY, USED, FREE,
    WATERMARK, CERTIFICATES, PAUSED, UP, DEATHS,
)  # fmt: skip
"""All of them, in the order in which they are written."""
