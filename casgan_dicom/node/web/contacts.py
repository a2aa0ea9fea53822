"""Who sends here and where results go, as it is answered: settings beside what the ledger knows."""

from __future__ import annotations

from collections.abc import Iterable

from casgan_dicom.node.settings import NodeSettings, place_of, places_of
from casgan_dicom.node.state.contacts import SenderRow, queues, senders, turned_away
from casgan_dicom.node.state.pauses import Pause, Pauses
from casgan_dicom.node.web import answers
from casgan_dicom.node.web.asked import Asked
from casgan_dicom.node.web.site import Site


def peers(site: Site, _asked: Asked) -> answers.Peers:
    """Everybody who may send here or has, with the last contact, and who was turned away."""
    rejections = (
        answers.Rejection(each.reason, each.count, each.last_at) for each in turned_away(site.ledger)
    )
    return answers.Peers(tuple(_peers(site.settings, senders(site.ledger))), tuple(rejections))


def destinations(site: Site, _asked: Asked) -> answers.Destinations:
    """Where results go with what waits there, and what converts."""
    rows, paused = queues(site.ledger), Pauses(site.ledger).all()
    configured = {each.name: each for each in site.settings.destinations}
    names = dict.fromkeys([*configured, *(row.destination for row in rows)])
    found = []
    for name in names:
        own = [row for row in rows if row.destination == name]
        settings = configured.get(name)
        found.append(
            answers.Destination(
                name=name,
                kind="" if settings is None else settings.kind,
                place="" if settings is None else place_of(settings),
                configured=settings is not None,
                paused=Pause("send", name) in paused,
                states={row.state: row.count for row in own},
                oldest_at=min((row.first_at for row in own if row.state == "waiting"), default=None),
                last_sent_at=max((row.last_at for row in own if row.state == "sent"), default=None),
            )
        )
    devices = site.settings.worker.devices
    return answers.Destinations(
        tuple(found), tuple(answers.Device(each, Pause("convert", each) in paused) for each in devices)
    )


def _peers(settings: NodeSettings, rows: Iterable[SenderRow]) -> Iterable[answers.Contact]:
    """Those who sent, then those who may and never have."""
    known = {each.ae_title for each in settings.peers}
    heard = set()
    for row in rows:
        heard.add(row.ae_title)
        yield answers.Contact(row.ae_title, row.address, row.ae_title in known, row.instances, row.last_at)
    for peer in settings.peers:
        if peer.ae_title not in heard:
            yield answers.Contact(peer.ae_title, ", ".join(places_of(peer)), True, 0, None)
