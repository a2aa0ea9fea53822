"""Certificates: readable, valid, with the right key, in a chain that leads somewhere, for the right name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise
from time import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from casgan_dicom.node.addresses import as_address
from casgan_dicom.node.certificates import CertificateError, NamedFile, TlsFiles, faults, read_certificates
from casgan_dicom.node.credentials import (
    all_files,
    expiries,
    files_of_host,
    files_of_listener,
    files_of_page,
    files_of_web,
)
from casgan_dicom.node.doctor.finding import Finding, fail, ok, warn
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.health import RENEW_DAYS


def look_at_certificates(settings: NodeSettings) -> Iterator[Finding]:
    """Everything about the certificates that the settings name."""
    now = time()
    wrong = {fault: files for files in all_files(settings) for fault in faults(files, now)}
    for text in wrong:
        key, _, said = text.partition(" ")
        yield fail(key, said, "`casgan-dicom node certificates DIR` makes a set for tests, to compare with")
    for each in expiries(settings, now):
        if each.days_left is None or each.days_left < 0:
            continue  # told above
        told = f"{each.path}: {each.days_left} days left"
        good = each.days_left >= RENEW_DAYS
        yield ok(each.key, told) if good else warn(each.key, told, "have it renewed; no restart is needed")
    for host, files in _ours(settings):
        if not wrong and files is not None and files.certificate is not None:
            yield from _of_chain(files.certificate, files.authorities)
            yield from _of_name(files.certificate, host)


def _ours(settings: NodeSettings) -> Iterator[tuple[str, TlsFiles | None]]:
    """What we show to those who come to us, and where."""
    yield settings.listener.host, files_of_listener(settings.listener)
    yield settings.web.host, files_of_web(settings.web)
    yield settings.page.host, files_of_page(settings.page)
    yield settings.host.share_host, files_of_host(settings.host)


def _of_chain(certificate: NamedFile, authorities: NamedFile | None) -> Iterator[Finding]:
    """Whether each certificate of a file was issued by the one behind it, and the last by an authority."""
    try:
        chain = read_certificates(certificate.path)
        known = read_certificates(authorities.path) if authorities else []
    except CertificateError as error:  # changed at this moment
        yield fail(certificate.key, str(error), "look again")
        return
    for number, (one, issuer) in enumerate(pairwise(chain), 2):
        if not _issued(one, issuer):
            said = f"{certificate.path}: certificate {number} is not the issuer of the one before it"
            yield fail(
                certificate.key, said, "put ours first, then its issuer, and so on up to the authority"
            )
            return
    if any(_issued(chain[-1], each) for each in (*known, chain[-1])):
        yield ok(certificate.key, f"{certificate.path}: its chain leads to an authority")
    else:
        where = authorities.key if authorities else "this configuration"
        said = f"{certificate.path}: its authority is not in {where}"
        advice = (
            "see that peers know it; an issuer in between belongs behind our certificate, in the same file"
        )
        yield warn(certificate.key, said, advice)


def _issued(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _of_name(certificate: NamedFile, host: str) -> Iterator[Finding]:
    """Whether the certificate holds a name that peers may call this machine by."""
    try:
        names = _names(read_certificates(certificate.path)[0])
    except CertificateError as error:  # changed at this moment
        yield fail(certificate.key, str(error), "look again")
        return
    wanted = _called(host)
    if names & wanted:
        yield ok(certificate.key, f"{certificate.path}: is for {', '.join(sorted(names & wanted))}")
        return
    shown, missing = ", ".join(sorted(names)) or "no name", " or ".join(sorted(wanted))
    said = f"{certificate.path}: is for {shown}, not {missing}"
    yield warn(certificate.key, said, "peers that check names must call this machine by one that it holds")


def _called(host: str) -> set[str]:
    """What peers may call a machine that listens there."""
    address = as_address(host)
    if address is not None and not address.is_unspecified:
        return {str(address), "localhost"} if address.is_loopback else {str(address)}
    return {socket.gethostname().lower(), socket.getfqdn().lower()} if address else {host.lower()}


def _names(certificate: x509.Certificate) -> set[str]:
    """The names and addresses that a certificate holds."""
    try:
        shown = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {str(each.value).lower() for each in common}
    names = {name.lower() for name in shown.get_values_for_type(x509.DNSName)}
    return names | {str(each) for each in shown.get_values_for_type(x509.IPAddress)}
