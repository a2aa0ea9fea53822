"""Other web services: are they there, do they know us, is the address right, and what time is it there?

Asked are OPTIONS, and for one match of what is there, of which nothing is read: a login is often not looked
at before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import time

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.places import Place, web_at
from casgan_dicom.node.client.web import FETCHING, Answer, Web, refusal
from casgan_dicom.node.client.web_session import Session, opened
from casgan_dicom.node.doctor.clock import of_offset
from casgan_dicom.node.doctor.dicom import about_fault
from casgan_dicom.node.doctor.finding import Finding, ok, warn
from casgan_dicom.node.settings import NodeSettings

_JSON = "application/dicom+json"
_NOT_THERE = 404
_NO_OPTIONS = (_NOT_THERE, 405, 501)
"""Statuses of servers that may be there, and know no OPTIONS: Orthanc says 404 wherever it is asked."""
_NOT_ASKED = (401, 403)
_OF_STOW: Mapping[str, str] = {
    "url": 'type the address that ends with /studies, as url = "https://pacs.example/dicom-web/studies"',
    "user": "type user with password_file, or token_file",
    "token_file": "name a file whose first line is a token that is good there",
    "tls_authorities": "name the PEM file with the authority of its certificate",
}
_OF_QIDO: Mapping[str, str] = {
    **_OF_STOW,
    "url": 'type what stands before /studies, as url = "https://pacs.example/dicom-web"',
}
"""What to type, by the key that is wrong."""


def look_at_stow(settings: NodeSettings, number: int, seconds: float) -> Iterator[Finding]:
    """A destination of kind stow, counted from 1."""
    place, at = settings.destinations[number - 1], f"destinations#{number}"
    web = _patient(place, seconds)
    try:
        with opened(web) as session:
            answer = session.options()
            if answer.status >= 300 and answer.status not in _NO_OPTIONS:
                raise refusal(web, answer, time())
            match = _one_match(session, "")
            if answer.status == match.status == _NOT_THERE:
                raise refusal(web, answer, time())
            yield ok(at, f"{web} answers (OPTIONS {answer.status}, GET {match.status})")
            yield from _of_login(at, web, match)
            yield from _of_clock(at, answer, time())
    except PeerError as error:
        yield about_fault(at, place, error, _OF_STOW)


def look_at_dicomweb(settings: NodeSettings, number: int, seconds: float) -> Iterator[Finding]:
    """An archive of kind dicomweb, counted from 1."""
    place, at = settings.archives[number - 1], f"archives#{number}"
    web = _patient(place, seconds)
    try:
        with opened(web) as session:
            answer = _one_match(session, "/studies")
            if answer.status not in (200, 204, 206):
                raise refusal(web, answer, time(), FETCHING)
            yield ok(at, f"{web} answers queries (QIDO-RS)")
            yield from _of_clock(at, answer, time())
    except PeerError as error:
        yield about_fault(at, place, error, _OF_QIDO)


def _patient(place: Place, seconds: float) -> Web:
    """The server of a place, waited for no longer than that."""
    web = web_at(place)
    return replace(
        web,
        connect_seconds=min(web.connect_seconds, seconds),
        response_seconds=min(web.response_seconds, seconds),
    )


def _one_match(session: Session, path: str) -> Answer:
    """Ask for one match of what is there; its content is not read."""
    with session.fetching(path, _JSON, {"limit": "1"}) as response:
        return session.refused(response)


def _of_login(at: str, web: Web, answer: Answer) -> Iterator[Finding]:
    """Whether it lets us do something else than OPTIONS, which servers often answer to everybody."""
    if answer.status in _NOT_ASKED:
        error = refusal(web, answer, time())
        key = "token_file" if web.login.token_file else "user"
        told = f"{web} wants to know who asks what is there ({answer.status}), and may want it of who stores"
        yield warn(f"{at}.{key}", told, error.hint)


def _of_clock(at: str, answer: Answer, now: float) -> Iterator[Finding]:
    """What its Date (RFC 9110 6.6.1) says of our clock."""
    try:
        theirs = parsedate_to_datetime(answer.date).timestamp()
    except (ValueError, TypeError, OverflowError):  # it does not say
        return
    yield from of_offset(at, theirs - now)
