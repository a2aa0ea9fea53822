"""Files of certificates and keys: what is wrong with them is named by key and file, and when they expire."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.credentials import check_files, expiries, files_of_destinations
from casgan_dicom.node.settings import DestinationSettings, ListenerSettings, NodeSettings
from casgan_dicom.node.state.health import Level, findings
from casgan_dicom.node.state.overview import Status
from tests.node.secure import Authority, Pair, listener_keys

DAY = 86400


@pytest.fixture
def own(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path / "own", "own")


def settings_of(authority: Authority, pair: Pair) -> NodeSettings:
    return NodeSettings(listener=ListenerSettings(**listener_keys(authority, pair)))


def test_good_files_are_good(own: Authority) -> None:
    check_files(settings_of(own, own.issue("node")), time())


def test_node_without_tls_has_no_files() -> None:
    check_files(NodeSettings(), time())
    assert expiries(NodeSettings(), time()) == ()


def break_certificate(pair: Pair, own: Authority) -> str:
    pair.certificate.write_text("this is no certificate")
    return f"listener.tls_certificate {pair.certificate} holds no certificate in PEM"


def take_certificate(pair: Pair, own: Authority) -> str:
    pair.certificate.unlink()
    return f"listener.tls_certificate {pair.certificate} cannot be read (No such file or directory)"


def swap(pair: Pair, own: Authority) -> str:
    pair.key.write_bytes(pair.certificate.read_bytes())
    return f"listener.tls_key {pair.key} holds no private key in PEM"


def other_key(pair: Pair, own: Authority) -> str:
    pair.key.write_bytes(own.issue("other", own_key=True).key.read_bytes())
    return f"listener.tls_key {pair.key} is not the key of the first certificate in listener.tls_certificate"


def locked_key(pair: Pair, own: Authority) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    locked = BestAvailableEncryption(b"secret")
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    return f"listener.tls_key {pair.key} is locked with a password"


def open_key(pair: Pair, own: Authority) -> str:
    pair.key.chmod(0o644)
    return f"listener.tls_key {pair.key} has mode 0644, every user may read it"


def expire(pair: Pair, own: Authority) -> str:
    own.issue("late", file=pair.certificate.stem, days=-2)
    return f"listener.tls_certificate {pair.certificate}: certificate 1 expired on"


def break_authorities(pair: Pair, own: Authority) -> str:
    own.certificate.write_bytes(b"\xff\x00")
    return f"listener.tls_authorities {own.certificate} holds no certificate in PEM"


@pytest.mark.parametrize(
    "spoil",
    [
        break_certificate,
        take_certificate,
        swap,
        other_key,
        locked_key,
        open_key,
        expire,
        break_authorities,
    ],
)
def test_bad_file_is_named_by_key_and_path_at_the_start(own: Authority, spoil: object) -> None:
    pair = own.issue("node")
    assert callable(spoil)
    wanted = spoil(pair, own)

    with pytest.raises(ConfigError) as caught:
        check_files(settings_of(own, pair), time())

    assert wanted in caught.value.message
    assert "Error" not in caught.value.message


def test_group_may_read_a_key(own: Authority) -> None:
    pair = own.issue("node")
    pair.key.chmod(0o640)

    check_files(settings_of(own, pair), time())


def test_certificate_that_is_not_valid_yet_is_refused(own: Authority) -> None:
    with pytest.raises(ConfigError, match="is valid from"):
        check_files(settings_of(own, own.issue("node")), time() - 10 * DAY)


def test_destination_shows_the_certificate_of_the_listener_unless_it_has_its_own(own: Authority) -> None:
    node, other = own.issue("node"), own.issue("other")
    pacs = DestinationSettings("a", "h", 104, "A", tls=True, tls_authorities=str(own.certificate))
    shown_there = replace(pacs, name="b", tls_certificate=str(other.certificate), tls_key=str(other.key))
    destinations = (pacs, shown_there, replace(pacs, name="c", tls=False))
    settings = replace(settings_of(own, node), destinations=destinations)

    found = files_of_destinations(settings)

    assert found.keys() == {"a", "b"}
    shown = {name: files.certificate.path for name, files in found.items() if files.certificate}
    assert shown == {"a": node.certificate, "b": other.certificate}
    check_files(settings, time())


WELL = Status(Path("/data"), "running", {}, {}, {}, 0, 0, 2**40)


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (100.5, Level.OK, ""),
        (30.5, Level.OK, ""),
        (29.5, Level.WARNING, "expires in 29 days"),
        (0.5, Level.WARNING, "expires in 0 days"),
        (-0.5, Level.CRITICAL, "has expired"),
    ],
)
def test_days_left_are_a_finding_when_they_are_few(
    own: Authority, days: float, level: Level, said: str
) -> None:
    settings = settings_of(own, own.issue("node", days=days))

    found = findings(WELL, 0, expiries(settings, time()))

    assert [(finding.level, said in finding.text) for finding in found] == ([(level, True)] if said else [])


def test_certificate_that_cannot_be_read_is_not_called_good(own: Authority) -> None:
    pair = own.issue("node")
    pair.certificate.unlink()

    found = expiries(settings_of(own, pair), time())

    assert found[0].days_left is None
    assert findings(WELL, 0, found)[0].level is Level.WARNING
