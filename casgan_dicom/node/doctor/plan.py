"""What is looked at for which settings, in the order in which it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from casgan_dicom.node.doctor import ports
from casgan_dicom.node.doctor.bundle import look_at_bundles
from casgan_dicom.node.doctor.certificates import look_at_certificates
from casgan_dicom.node.doctor.clock import look_at_clock
from casgan_dicom.node.doctor.database import look_at_database
from casgan_dicom.node.doctor.dicom import look_at_archive, look_at_destination, look_at_sender
from casgan_dicom.node.doctor.disk import look_at_disk
from casgan_dicom.node.doctor.engine import ENGINE_SECONDS, look_at_engine
from casgan_dicom.node.doctor.examination import Check, examine
from casgan_dicom.node.doctor.finding import Finding
from casgan_dicom.node.doctor.folders import look_at_folder, look_at_inbox, look_at_secret
from casgan_dicom.node.doctor.web import look_at_dicomweb, look_at_stow
from casgan_dicom.node.settings import NodeSettings

_PHASES = 8
"""Waits that a peer may cost: connection, TLS, association and answer, for an echo and for a question."""
_GRACE_SECONDS = 10.0


def look(settings: NodeSettings, *, seconds: float, engine: bool) -> Iterator[Finding]:
    """Look at everything: what is measured alone, what others answer at the same time.

    Parameters
    ----------
    settings
        Of the node; they are in order.
    seconds
        Longest wait for one answer of somebody else.
    engine
        Whether to measure how fast it draws, which takes longest.
    """
    yield from examine(_around(settings))
    yield from examine([Check("data", partial(look_at_disk, settings))])
    if engine:
        for device in dict.fromkeys(settings.worker.devices):
            look_at = partial(look_at_engine, settings, device)
            yield from examine([Check(f"worker {device}", look_at, ENGINE_SECONDS + _GRACE_SECONDS)])
    yield from examine(_elsewhere(settings, seconds))


def _around(settings: NodeSettings) -> list[Check]:
    """What this machine alone answers, and fast."""
    checks = [
        Check(door.key("port"), partial(list, ports.look_at_port(door, settings)))
        for door in ports.doors(settings)
    ]
    checks.append(Check("certificates", partial(look_at_certificates, settings)))
    checks.append(Check("clock", partial(look_at_clock, settings)))
    checks.append(Check("worker.bundle", partial(look_at_bundles, settings)))
    secrets = {
        "web.tokens_file": settings.web.tokens_file if settings.web.port else "",
        "page.tokens_file": settings.page.tokens_file if settings.page.port else "",
        "host.secret_file": settings.host.secret_file if settings.host.name else "",
    }
    for at, name in secrets.items():
        if name:
            checks.append(Check(at, partial(look_at_secret, at, Path(name).expanduser())))
    return checks


def _elsewhere(settings: NodeSettings, seconds: float) -> list[Check]:
    """What somebody else has to answer, or a folder that may be on another machine."""
    checks, longest = [], _PHASES * seconds + _GRACE_SECONDS
    if settings.state.database:
        checks.append(Check("state.database", partial(look_at_database, settings), longest))
    for number, each in enumerate(settings.destinations, 1):
        looks: dict[str, Callable[[], Iterator[Finding]]] = {
            "dicom": partial(look_at_destination, settings, number, seconds),
            "stow": partial(look_at_stow, settings, number, seconds),
            "folder": partial(look_at_folder, settings, number),
        }
        checks.append(Check(f"destinations#{number}", looks[each.kind], longest))
    for number, archive in enumerate(settings.archives, 1):
        by_kind = {"dicom": look_at_archive, "dicomweb": look_at_dicomweb}
        look_at = partial(by_kind[archive.kind], settings, number, seconds)
        checks.append(Check(f"archives#{number}", look_at, longest))
    for number, peer in enumerate(settings.peers, 1):
        if peer.report_host:
            check = partial(look_at_sender, settings, number, seconds)
            checks.append(Check(f"peers#{number}", check, longest))
    for number, _ in enumerate(settings.inboxes, 1):
        checks.append(Check(f"inboxes#{number}", partial(look_at_inbox, settings, number), longest))
    return checks
