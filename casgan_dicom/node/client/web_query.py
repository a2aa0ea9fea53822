"""What an archive holds, asked over the web level by level: QIDO-RS (PS3.18 10.6).

Only UIDs, dates and modalities are asked for and kept: no answer here holds patient data that is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from time import time

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.query import Held, Wanted
from casgan_dicom.node.client.web import FETCHING, Web, refusal
from casgan_dicom.node.client.web_session import Session
from casgan_dicom.uids import is_uid

_JSON = "application/dicom+json"
_STUDY, _SERIES, _INSTANCE, _CLASS = "0020000D", "0020000E", "00080018", "00080016"
_MODALITY = "00080060"
_AT_ONCE = 500
"""Matches that one answer may hold."""
_MOST = 1_000_000
"""Matches that a question may have: more is an archive that never ends."""

_Match = Mapping[str, object]


def held_on_web(web: Web, session: Session, wanted: Wanted) -> Iterator[Held]:
    """Ask which instances there are of what is wanted, in the order in which it tells.

    A match without a UID where one has to be is passed over: nothing could be fetched by it. Raises
    PeerError.
    """
    asking = _Asking(web, session)
    for study in wanted.studies or asking.studies(wanted):
        for series in asking.series(study, wanted):
            for found in asking.all(f"/studies/{study}/series/{series}/instances", {}, _INSTANCE):
                uid, sop_class = _uid(found, _INSTANCE), _uid(found, _CLASS)
                if uid:
                    yield Held(study, series, uid, sop_class)


def held_in_series(web: Web, session: Session, study: str, series: str) -> set[str]:
    """SOP Instance UIDs that are there of a study and series; none where there is no such study.

    Some servers answer 404 below a study that they do not have, and some wherever they know no questions: so
    it is asked first whether the study is there. Raises PeerError.
    """
    asking = _Asking(web, session)
    found = asking.all("/studies", {"StudyInstanceUID": study}, _STUDY)
    if study not in {_uid(each, _STUDY) for each in found}:
        return set()
    return {held.sop_uid for held in held_on_web(web, session, Wanted((study,), (series,)))}


class _Asking:
    """Questions to one archive."""

    def __init__(self, web: Web, session: Session) -> None:
        self._web, self._session = web, session

    def studies(self, wanted: Wanted) -> list[str]:
        """Studies of the dates, each once."""
        keys = {"StudyDate": wanted.dates} if wanted.dates else {}
        asked = [keys | ({"ModalitiesInStudy": each} if each else {}) for each in wanted.modalities or [""]]
        found = [_uid(each, _STUDY) for one in asked for each in self.all("/studies", one, _STUDY)]
        return [uid for uid in dict.fromkeys(found) if uid]

    def series(self, study: str, wanted: Wanted) -> list[str]:
        """Series of a study that are wanted. Archives may not match by modality, so it is looked at here."""
        fitting = [
            _uid(each, _SERIES)
            for each in self.all(f"/studies/{study}/series", {}, _SERIES)
            if not wanted.modalities or _text(each, _MODALITY) in wanted.modalities
        ]
        return [uid for uid in dict.fromkeys(fitting) if uid and (not wanted.series or uid in wanted.series)]

    def all(self, path: str, keys: Mapping[str, str], tag: str) -> Iterator[_Match]:
        """All matches, page by page; an archive that knows no pages gives all at once, and then again."""
        known = set[str]()
        for offset in range(0, _MOST, _AT_ONCE):
            page = self._page(path, {**keys, "limit": str(_AT_ONCE), "offset": str(offset)})
            fresh = [each for each in page if _uid(each, tag) not in known]
            yield from fresh
            known |= {_uid(each, tag) for each in fresh}
            if len(page) < _AT_ONCE or not fresh:
                return
        raise PeerError(f"{self._web} tells of more than {_MOST} matches", hint="ask for less: fewer days")

    def _page(self, path: str, keys: Mapping[str, str]) -> list[_Match]:
        answer = self._session.get(path, keys, _JSON)
        if answer.status == 204:
            return []
        if answer.status not in (200, 206):
            raise refusal(self._web, answer, time(), FETCHING)
        try:
            found = json.loads(answer.content or b"[]")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list):
            raise PeerError(f"{self._web} answers what is no DICOM JSON", hint=FETCHING[404][1])
        return [each for each in found if isinstance(each, dict)]


def _text(match: _Match, tag: str) -> str:
    """A value as text; empty where there is none."""
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]).strip(" \0") if isinstance(values, list) and values else ""


def _uid(match: _Match, tag: str) -> str:
    text = _text(match, tag)
    return text if is_uid(text) else ""
