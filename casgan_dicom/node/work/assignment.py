"""Which job goes to which device, and whose sender sends what was made. Pure.

Few jobs are handed to a device at a time, but some of each priority: so the order is that of the ledger,
where a person can change it, and what is urgent waits behind no queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from casgan_dicom.node.settings import Priority
from casgan_dicom.node.state.hosts import Seen
from casgan_dicom.node.state.jobs import Enqueuing, Place

ON_THE_WAY = 4
"""Jobs of one priority that are handed to a device at the same time; the others wait in the ledger."""


@dataclass(frozen=True)
class Around:
    """What there is to convert with."""

    places: tuple[Place, ...]
    """Devices that somebody serves."""
    hosts: frozenset[str]
    """Hosts that live: files of others cannot be had now."""
    gone: frozenset[str] = frozenset()
    """Hosts that have files, and are known, but do not live: what needs these waits."""


def assign(
    waiting: Sequence[Enqueuing],
    handed: Sequence[Enqueuing],
    around: Around,
    sources: Mapping[str, Collection[str]],
) -> list[tuple[Enqueuing, Place]]:
    """The jobs that are to be handed over now, the first of `waiting` first, and to whom.

    Parameters
    ----------
    waiting
        Jobs that are complete, the most urgent first.
    handed
        Jobs that a device has.
    around
        Who could take one.
    sources
        Hosts that have files of a job. One whose host is away waits for it.
    """
    load: Load = Counter((job.place, job.priority) for job in handed)
    chosen = []
    for job in waiting:
        homes = sources.get(job.job, ())
        if around.gone.intersection(homes):
            continue
        free = [place for place in around.places if load[place, job.priority] < ON_THE_WAY]
        if not free:
            continue
        place = min(free, key=lambda each: _rank(each, job, load, homes))
        load[place, job.priority] += 1
        chosen.append((job, place))
    return chosen


Load = Counter[tuple[Place | None, Priority]]
"""How many jobs of a priority a device has."""


def _rank(place: Place, job: Enqueuing, load: Load, homes: Collection[str]) -> tuple[int, bool, int]:
    """How well a device suits a job, the less the better: it has little to do, and has the files."""
    at_it = sum(count for (at, _), count in load.items() if at == place)
    return at_it, place.host not in homes, crc32(f"{job.series_uid} {place.device}".encode())


def sender_of(maker: str, hosts: Sequence[Seen]) -> str | None:
    """The host that sends what a host made: itself if it sends at all, else any that lives and does.

    None where there is nobody now. One that sends its own is waited for, since its objects are there.
    """
    known = {each.host.name: each for each in hosts}
    if maker not in known or "sender" in known[maker].host.roles:
        return maker
    return next((each.host.name for each in hosts if each.is_live and "sender" in each.host.roles), None)
