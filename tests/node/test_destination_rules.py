"""Which keys each kind of destination has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import UID

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.checks import load_node_settings, problems
from casgan_dicom.node.destination_rules import TRANSFER_SYNTAXES, retry_of, transfer_syntaxes
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, RetrySettings

PACS = DestinationSettings("pacs", "10.1.2.4", 104, "ORTHANC")
WEB = DestinationSettings("web", kind="stow", url="https://pacs.example/dicom-web/studies")
SHARE = DestinationSettings("share", kind="folder", folder=Path("/mnt/share"))
SECRET = Path("/run/secret")


def told(destination: DestinationSettings, retry: RetrySettings = RetrySettings()) -> tuple[str, ...]:  # noqa: B008  # frozen
    return problems(NodeSettings(destinations=(destination,), retry=retry))


@pytest.mark.parametrize(
    "destination",
    [
        PACS,
        WEB,
        SHARE,
        replace(
            WEB,
            user="a",
            password_file=SECRET,
            tls_authorities="/a.pem",
            tls_certificate="/c.pem",
            tls_key="/k.pem",
        ),
        replace(WEB, user="a b", password_variable="PACS_PASSWORD"),
        replace(WEB, token_file=SECRET, proxy=True, request_instances=1, request_bytes=1),
        replace(WEB, url="http://10.1.2.4:8042/dicom-web/studies"),
        replace(WEB, url="http://127.0.0.1:8042/studies", token_file=SECRET),
        replace(WEB, url="https://[fd00::1]/studies/1.2.3"),
        replace(SHARE, layout="flat", readable_by="all"),
        replace(PACS, hours=("Mon-Fri 18:00-07:00", "Sat-Sun"), zone="Europe/Berlin"),
        replace(SHARE, hours=("22:00-06:00",), retry_first_seconds=300.0),
        replace(WEB, bytes_per_second=1024, syntaxes=("JPEG2000Lossless", "1.2.840.10008.1.2")),
    ],
)
def test_these_destinations_make_sense(destination: DestinationSettings) -> None:
    assert told(destination) == ()


AT = "destinations#1"
URL = "an address as https://pacs.example/dicom-web/studies, without user, ? and #"


@pytest.mark.parametrize(
    ("destination", "problem"),
    [
        (replace(PACS, host=""), f"{AT}.host is missing, want an address or a name: kind is 'dicom'"),
        (
            replace(WEB, url=""),
            f"{AT}.url is missing, want an address as https://pacs.example/dicom-web/studies: kind is 'stow'",
        ),
        (
            replace(SHARE, folder=None),
            f"{AT}.folder is missing, want a path that begins with /: kind is 'folder'",
        ),
        (replace(WEB, url="ftp://pacs"), f"{AT}.url is 'ftp://pacs', want {URL}"),
        (replace(WEB, url="pacs/studies"), f"{AT}.url is 'pacs/studies', want {URL}"),
        (replace(WEB, url="https:///studies"), f"{AT}.url is 'https:///studies', want {URL}"),
        (replace(WEB, url="https://a:b@pacs/"), f"{AT}.url is 'https://a:b@pacs/', want {URL}"),
        (replace(WEB, url="https://pacs/?a"), f"{AT}.url is 'https://pacs/?a', want {URL}"),
        (replace(WEB, url="https://pacs:99999/"), f"{AT}.url is 'https://pacs:99999/', want {URL}"),
        (replace(WEB, url="https://pa cs/"), f"{AT}.url is 'https://pa cs/', want {URL}"),
        (
            replace(SHARE, folder=Path("share")),
            f"{AT}.folder is 'share', want a path that begins with /",
        ),
        (
            replace(WEB, user="a"),
            f"{AT} has a user and of passwords neither, want user with one of password_file and "
            "password_variable",
        ),
        (
            replace(WEB, password_variable="P"),
            f"{AT} has no user and of passwords password_variable, want user with one of password_file and "
            "password_variable",
        ),
        (
            replace(WEB, user="a", password_variable="P", password_file=SECRET),
            f"{AT} has a user and of passwords password_file and password_variable, want user with one of "
            "password_file and password_variable",
        ),
        (
            replace(WEB, user="a", password_variable="P", token_file=SECRET),
            f"{AT}.token_file is set beside {AT}.user, want one of the two",
        ),
        (replace(WEB, tls_key="/k"), f"{AT}.tls_certificate is '', want a file: {AT}.tls_key is set"),
        (
            replace(WEB, url="http://pacs/studies", token_file=SECRET),
            f"{AT}.token_file is set and {AT}.url begins with http:, want https: anybody could read it",
        ),
        (
            replace(WEB, url="http://pacs/studies", user="a", password_variable="P"),
            f"{AT}.user is set and {AT}.url begins with http:, want https: anybody could read it",
        ),
        (replace(WEB, user="a:b", password_variable="P"), f"{AT}.user is 'a:b', want a name without a colon"),
        (
            replace(WEB, user="a", password_variable="P-1"),
            f"{AT}.password_variable is 'P-1', want the name of a variable",
        ),
        (replace(WEB, request_instances=0), f"{AT}.request_instances is 0, want 1 to 1000"),
        (replace(WEB, request_bytes=0), f"{AT}.request_bytes is 0, want at least 1"),
        (replace(WEB, bytes_per_second=1), f"{AT}.bytes_per_second is 1, want 0, or at least 1024"),
        (
            replace(PACS, syntaxes=("JPEG2000Lossless",)),
            f"{AT}.syntaxes is ('JPEG2000Lossless',), want ExplicitVRLittleEndian or ImplicitVRLittleEndian "
            "among them",
        ),
        (
            replace(PACS, syntaxes=("1.2.3", "ImplicitVRLittleEndian")),
            f"{AT}.syntaxes is ('1.2.3', 'ImplicitVRLittleEndian'), want UIDs or keywords of transfer "
            "syntaxes, as JPEG2000Lossless",
        ),
        (
            replace(PACS, hours=("always",)),
            f"{AT}.hours is ('always',), want days, a span of the clock or both, as 'Mon-Fri 18:00-07:00', "
            "'Sat-Sun' or '18:00-07:00'",
        ),
        (
            replace(PACS, hours=("Sat",), zone="Europe/Bonn"),
            f"{AT}.zone is 'Europe/Bonn', want a time zone as Europe/Berlin, or nothing",
        ),
        (
            replace(PACS, hours=("Sat",), zone="../../etc/passwd"),
            f"{AT}.zone is '../../etc/passwd', want a time zone as Europe/Berlin, or nothing",
        ),
        (replace(PACS, zone="UTC"), f"{AT}.zone is 'UTC', want {AT}.hours with it, or nothing"),
        (
            replace(PACS, retry_first_seconds=301.0),
            f"the first wait of {AT} is 301, want at most the longest (300)",
        ),
        (
            replace(PACS, retry_longest_seconds=1.0),
            f"the first wait of {AT} is 2, want at most the longest (1)",
        ),
    ],
)
def test_what_makes_no_sense_is_told(destination: DestinationSettings, problem: str) -> None:
    assert told(destination) == (problem,)


@pytest.mark.parametrize(
    ("destination", "key", "found", "has"),
    [
        (replace(WEB, ae_title="A"), "ae_title", "'A'", "tls_authorities, tls_certificate"),
        (replace(WEB, associations=2), "associations", "2", "url"),
        (replace(WEB, folder=Path("/a")), "folder", "'/a'", "url"),
        (replace(PACS, url=WEB.url), "url", repr(WEB.url), "ae_title, associations"),
        (replace(PACS, token_file=SECRET), "token_file", f"'{SECRET}'", "host"),
        (replace(SHARE, port=104), "port", "104", "folder, layout, readable_by"),
        (replace(SHARE, bytes_per_second=2048), "bytes_per_second", "2048", "folder, layout, readable_by"),
        (replace(SHARE, response_seconds=1.0), "response_seconds", "1.0", "folder, layout, readable_by"),
    ],
)
def test_a_key_of_another_kind_is_told_with_those_of_its_own(
    destination: DestinationSettings, key: str, found: str, has: str
) -> None:
    (problem,) = told(destination)
    assert problem.startswith(
        f"{AT}.{key} is {found}, want it left out: a destination of kind '{destination.kind}' has "
    )
    assert has in problem


def test_all_is_told_with_the_place_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(
        '[[destinations]]\nname = "a"\nkind = "stow"\nae_title = "A"\n'
        '[[destinations]]\nname = "b"\nhots = "pacs"\nport = 104\n'
        '[[destinations]]\nname = "c"\nkind = "ftp"\n'
    )

    with pytest.raises(ConfigError) as caught:
        load_node_settings(path, {})

    lines = caught.value.message.split("\n  ")[1:]
    assert [line.removeprefix(f"{path}: ").partition(",")[0] for line in lines] == [
        "unknown key 'destinations#2.hots' (did you mean 'destinations#2.host'?)",
        "destinations#3.kind is 'ftp'",
        "destinations#1.url is missing",
        "destinations#1.ae_title is 'A'",
        "destinations#2.ae_title is missing",
    ]
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_a_destination_may_be_tried_again_in_its_own_way() -> None:
    everywhere = RetrySettings(first_seconds=1.0, longest_seconds=20.0, give_up_seconds=300.0)
    own = replace(PACS, retry_longest_seconds=30.0)
    assert retry_of(PACS, everywhere) == everywhere
    assert retry_of(own, everywhere) == replace(everywhere, longest_seconds=30.0)


def test_a_wrong_wait_for_all_is_told_once() -> None:
    assert len(told(PACS, RetrySettings(first_seconds=301.0))) == 1


def test_a_transfer_syntax_has_a_uid_and_a_keyword() -> None:
    """The oracle is the table of pydicom."""
    assert {UID(uid).keyword: uid for uid in TRANSFER_SYNTAXES.values()} == TRANSFER_SYNTAXES
    assert all(UID(uid).is_transfer_syntax for uid in TRANSFER_SYNTAXES.values())
    for name, uid in TRANSFER_SYNTAXES.items():
        assert transfer_syntaxes((uid, name)) == (uid, uid)
