"""What is to be told now, of all that is wrong and all that was told before. Pure, with the clock passed in.

Each thing is told when it begins, when it gets worse, again while it lasts, and when it is over. What is gone
for a moment only is not over. What could not be told stays due, and goes into the next message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from casgan_dicom.node.settings import NotificationSettings
from casgan_dicom.node.state.health import Finding, Level
from casgan_dicom.node.state.notices import Key, Known

CALM_SECONDS = 120.0
"""After which something that is gone is over."""
ChangeKind = Literal["new", "worse", "still", "over"]


@dataclass(frozen=True)
class Change:
    """One thing that is to be told."""

    kind: ChangeKind
    """Why now."""
    known: Known
    """What it is."""


@dataclass(frozen=True)
class Notice:
    """A message."""

    node: str
    """AE title of the node."""
    host: str
    """Name of its machine."""
    at: float
    """When it was made, seconds since 1970."""
    changes: tuple[Change, ...]
    """What it tells; nothing in a test message."""

    @property
    def status(self) -> str:
        """How bad the worst is that lasts, in a word."""
        return max((_level(each) for each in self.changes if each.kind != "over"), default=Level.OK).name

    @property
    def subject(self) -> str:
        """It in one line."""
        counts = [f"{sum(each.kind == kind for each in self.changes)} {kind}" for kind in _KINDS]
        said = ", ".join(each for each in counts if not each.startswith("0 ")) or "test message"
        return f"casgan-dicom {self.node} on {self.host}: {self.status}, {said}"

    @property
    def text(self) -> str:
        """All of it, for people."""
        lines = [f"- {_line(each)}" for each in self.changes]
        return "\n".join(
            [self.subject, *(lines or ["- nothing is wrong: somebody tried whether this arrives"])]
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs; docs/notification.schema.json says what is what."""
        return {
            "text": self.text,
            "node": self.node,
            "host": self.host,
            "at": _time(self.at),
            "status": self.status,
            "test": not self.changes,
            "changes": [
                {
                    "change": each.kind,
                    "event": each.known.event,
                    "about": each.known.about,
                    "level": _level(each).name,
                    "text": each.known.text,
                    "since": _time(each.known.since),
                }
                for each in self.changes
            ],
        }


_KINDS: tuple[ChangeKind, ...] = ("new", "worse", "still", "over")


def followed(known: Mapping[Key, Known], found: Iterable[Finding], now: float) -> dict[Key, Known]:
    """What is known after another look: what is gone and was never told is forgotten."""
    after = {}
    for finding in found:
        before = known.get((finding.event, finding.about))
        seen = Known(finding.event, finding.about, int(finding.level), finding.text, now)
        if before is not None:
            seen = replace(before, level=seen.level, text=seen.text, gone_at=None)
        after[seen.key] = seen
    for key, each in known.items():
        if key not in after and each.told_at is not None:
            after[key] = each if each.gone_at is not None else replace(each, gone_at=now)
    return after


def due(known: Mapping[Key, Known], settings: NotificationSettings, now: float) -> tuple[Change, ...]:
    """What is to be told now, the worst first."""
    found = [change for each in known.values() for change in _due(each, settings, now)]
    return tuple(sorted(found, key=lambda each: (_KINDS.index(each.kind), -each.known.level, each.known.key)))


def _due(known: Known, settings: NotificationSettings, now: float) -> Iterator[Change]:
    if known.gone_at is not None:
        if now - known.gone_at >= CALM_SECONDS:
            yield Change("over", known)
    elif known.told_at is None:
        yield Change("new", known)
    elif known.level > known.told_level:
        yield Change("worse", known)
    elif settings.repeat_seconds and now - known.told_at >= settings.repeat_seconds:
        yield Change("still", known)


def told(known: Mapping[Key, Known], changes: Iterable[Change], now: float) -> dict[Key, Known]:
    """What is known after these were told."""
    after = dict(known)
    for change in changes:
        if change.kind == "over":
            del after[change.known.key]
        else:
            after[change.known.key] = replace(change.known, told_at=now, told_level=change.known.level)
    return after


def _level(change: Change) -> Level:
    return Level(change.known.level)


def _line(change: Change) -> str:
    return f"{change.kind}: {_level(change).name} {change.known.text} (since {_time(change.known.since)})"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
