"""Doctor and a real Orthanc: what it says where a title, a login or an address is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.node.doctor.dicom import look_at_archive, look_at_destination
from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.doctor.web import look_at_dicomweb, look_at_stow
from casgan_dicom.node.settings import ArchiveSettings, DestinationSettings, NodeSettings
from tests.node.doctor.looking import bad
from tests.support.orthanc import Orthanc, dicomweb, free_ports

pytestmark = pytest.mark.orthanc


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc that knows one node, by its title, and one person, by a password."""
    extra = {
        "DicomCheckCalledAet": True,
        "DicomModalities": {"us": {"AET": "CASGAN", "Host": "127.0.0.1", "Port": free_ports(1)[0]}},
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"us": "secret"},
    }
    pacs = Orthanc.stock(tmp_path / "strict", extra=extra | dicomweb())
    pacs.user = ("us", "secret")
    with pacs:
        yield pacs


def test_titles_that_it_knows_and_titles_that_it_does_not(strict: Orthanc) -> None:
    right = DestinationSettings("pacs", "127.0.0.1", strict.dicom_port, strict.aet)
    places = (right, replace(right, ae_title="OTHANC"), replace(right, calling_ae_title="NOBODY"))
    settings = NodeSettings(destinations=places)

    found = [bad(look_at_destination(settings, number, 5)) for number in (1, 2, 3)]

    assert found == [
        {},
        {"destinations#2.ae_title": Verdict.FAIL},
        {"destinations#3.calling_ae_title": Verdict.FAIL},
    ]
    assert strict.statistics().instances == 0


def test_queries_that_it_takes_of_us_and_not_of_others(strict: Orthanc, orthanc: Orthanc) -> None:
    """A stock Orthanc takes an echo of everybody, and queries of those it knows."""
    known = ArchiveSettings("known", "127.0.0.1", strict.dicom_port, strict.aet, retrieve="move")
    unknown = ArchiveSettings("unknown", "127.0.0.1", orthanc.dicom_port, orthanc.aet)
    settings = NodeSettings(archives=(known, unknown))

    assert bad(look_at_archive(settings, 1, 5)) == {}
    assert bad(look_at_archive(settings, 2, 5)) == {"archives#2": Verdict.FAIL}


def test_a_login_and_an_address_that_are_right_and_wrong(strict: Orthanc, tmp_path: Path) -> None:
    (secret := tmp_path / "password").write_text("secret\n")
    (wrong := tmp_path / "wrong").write_text("guess\n")
    base = f"http://127.0.0.1:{strict.http_port}/dicom-web"
    stow = DestinationSettings("web", kind="stow", url=f"{base}/studies", user="us", password_file=secret)
    places = (
        stow,
        replace(stow, password_file=wrong),
        replace(stow, user=None, password_file=None),
        replace(stow, url=f"{base}/nowhere"),
    )
    qido = ArchiveSettings("web", kind="dicomweb", url=base, user="us", password_file=secret)
    settings = NodeSettings(destinations=places, archives=(qido, replace(qido, url=f"{base}/nowhere")))

    assert [bad(look_at_stow(settings, number, 5)) for number in (1, 2, 3, 4)] == [
        {},
        {"destinations#2.user": Verdict.FAIL},
        {"destinations#3.user": Verdict.FAIL},
        {"destinations#4.url": Verdict.FAIL},
    ]
    assert bad(look_at_dicomweb(settings, 1, 5)) == {}
    assert bad(look_at_dicomweb(settings, 2, 5)) == {"archives#2.url": Verdict.FAIL}
