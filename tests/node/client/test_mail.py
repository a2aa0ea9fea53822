"""Letters to a mail server over real sockets: taken, or refused at each step, with the key to look at."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.mail import Letter, send_mail
from casgan_dicom.node.settings import NotificationSettings
from tests.node.secure import Authority
from tests.support.mail_server import MailServer

LETTER = Letter(
    "casgan-dicom CASGAN on n\xf6de: WARNING", "- new: 3 dead letters to pacs\n.\n- Müller & Söhne", 1e9
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("house"), "ca")


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("mail")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.certificate, pair.key)
    return made


def target(
    server: MailServer, encryption: str = "none", authority: Authority | None = None
) -> NotificationSettings:
    return NotificationSettings(
        "on-call",
        kind="mail",
        host="127.0.0.1",
        port=server.port,
        encryption=encryption,
        sender="node@hospital.example",
        to=("it@hospital.example", "cath@hospital.example"),
        response_seconds=5,
        tls_authorities=str(authority.certificate) if authority else "",
    )


def with_login(
    settings: NotificationSettings, folder: Path, password: str = "s3cr3t"
) -> NotificationSettings:
    file = folder / "password"
    file.write_text(f"{password}\n")
    return replace(settings, user="casgan", password_file=file)


def test_a_letter_arrives_as_it_was_written() -> None:
    with MailServer() as server:
        assert send_mail(target(server), LETTER) == ()

        (mail,) = server.letters
    assert (mail.sender, mail.to) == (
        "node@hospital.example",
        ["it@hospital.example", "cath@hospital.example"],
    )
    assert mail.message["Subject"] == LETTER.subject
    assert mail.message.get_content().splitlines() == LETTER.text.splitlines()
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Date"].datetime.timestamp() == 1e9
    assert mail.message["Message-ID"].endswith("@hospital.example>")


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_login_is_said_over_tls_only(
    tmp_path: Path, authority: Authority, context: ssl.SSLContext, encryption: str
) -> None:
    logins = {"casgan": "s3cr3t"}
    server = (
        MailServer(starttls=context, logins=logins)
        if encryption == "starttls"
        else MailServer(tls=context, logins=logins)
    )
    with server:
        send_mail(with_login(target(server, encryption, authority), tmp_path), LETTER)

        (mail,) = server.letters
    assert (mail.is_encrypted, mail.user) == (True, "casgan")


def test_a_wrong_password_is_told_with_its_key_and_not_itself(
    tmp_path: Path, authority: Authority, context: ssl.SSLContext
) -> None:
    with (
        MailServer(starttls=context, logins={"casgan": "other"}) as server,
        pytest.raises(PeerError) as caught,
    ):
        send_mail(with_login(target(server, "starttls", authority), tmp_path), LETTER)

    assert "does not take our login (535)" in caught.value.message
    assert "password_file" in caught.value.hint
    assert "s3cr3t" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("refused", "said", "hint"),
    [
        ({"MAIL": 550}, "takes no mail from sender (550)", "sender"),
        ({"RCPT": 554}, "takes mail to none of the addresses (554)", "to"),
        ({"DATA": 451}, "does not take the message (451)", "log"),
        ({"EHLO": 502, "HELO": 502}, "(502)", ""),
    ],
)
def test_what_a_server_refuses_is_told_by_its_code_and_never_in_its_words(
    refused: dict[str, int], said: str, hint: str
) -> None:
    with MailServer() as server:
        server.refuses = refused
        with pytest.raises(PeerError) as caught:
            send_mail(target(server), LETTER)

    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "patient" not in caught.value.message + caught.value.hint


def test_addresses_that_are_refused_beside_others_are_named() -> None:
    with MailServer() as server:
        server.refuses = {"cath@hospital.example": 550}
        assert send_mail(target(server), LETTER) == ("cath@hospital.example",)

        assert server.letters[0].to == ["it@hospital.example"]


def test_a_server_without_starttls_gets_nothing(authority: Authority) -> None:
    with MailServer() as server:
        with pytest.raises(PeerError, match="STARTTLS"):
            send_mail(target(server, "starttls", authority), LETTER)

        assert server.letters == []


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_server_of_another_authority_gets_nothing(
    tmp_path: Path, context: ssl.SSLContext, encryption: str
) -> None:
    other = Authority.make(tmp_path, "other")
    server = MailServer(starttls=context) if encryption == "starttls" else MailServer(tls=context)
    with server:
        with pytest.raises(PeerError, match="no authority that is trusted here") as caught:
            send_mail(target(server, encryption, other), LETTER)

        assert server.letters == []
        assert "other.pem" in caught.value.hint


def test_tls_to_a_server_that_wants_starttls_is_told_as_such(
    authority: Authority, context: ssl.SSLContext
) -> None:
    with MailServer(starttls=context) as server, pytest.raises(PeerError, match="no TLS"):
        send_mail(target(server, "tls", authority), LETTER)


@pytest.mark.parametrize("at", ["greeting", "EHLO", "MAIL", "DATA"])
def test_a_server_that_hangs_is_left_after_its_time(at: str) -> None:
    with MailServer() as server:
        server.hangs_at = at
        with pytest.raises(PeerError, match="said nothing"):
            send_mail(replace(target(server), response_seconds=0.3), LETTER)


@pytest.mark.parametrize("at", ["EHLO", "RCPT", "DATA"])
def test_a_server_that_hangs_up_is_told_as_such(at: str) -> None:
    with MailServer() as server:
        server.closes_at = at
        with pytest.raises(PeerError, match=r"hung up|broke off"):
            send_mail(target(server), LETTER)


def test_a_server_that_hangs_up_after_it_has_taken_the_letter_has_taken_it() -> None:
    with MailServer() as server:
        server.closes_at = "QUIT"
        assert send_mail(target(server), LETTER) == ()


def test_a_closed_port_and_an_unknown_host_are_told_as_such() -> None:
    with MailServer() as server:
        settings = target(server)
    with pytest.raises(PeerError, match="port is closed"):
        send_mail(settings, LETTER)
    with pytest.raises(PeerError, match="host is unknown"):
        send_mail(replace(settings, host="no-such-host.invalid"), LETTER)


def test_a_password_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with MailServer() as server:
        settings = replace(target(server), user="casgan", password_file=tmp_path / "absent")
        with pytest.raises(PeerError, match="password_file"):
            send_mail(settings, LETTER)


def test_the_port_of_another_service_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = NotificationSettings(
            "on-call", kind="mail", host="127.0.0.1", port=other.getsockname()[1], response_seconds=0.3
        )
        with pytest.raises(PeerError, match="said nothing"):
            send_mail(settings, LETTER)
