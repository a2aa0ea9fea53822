"""Which files prove who we are and whom we believe, for each end of each connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from casgan_dicom.config import config_error
from casgan_dicom.node.certificates import Expiry, NamedFile, TlsFiles, expiry, faults
from casgan_dicom.node.settings import (
    ArchiveSettings,
    AuditSettings,
    DestinationSettings,
    HostSettings,
    ListenerSettings,
    NodeSettings,
    NotificationSettings,
    PageSettings,
    WebSettings,
)


def files_of_listener(listener: ListenerSettings) -> TlsFiles | None:
    """The files of the listener; None where it talks without TLS."""
    if not listener.tls_certificate:
        return None
    return _files("listener", listener)


def files_of_web(web: WebSettings) -> TlsFiles | None:
    """The files of what listens for HTTP; None where it does not, or without TLS."""
    if not (web.port and web.tls_certificate):
        return None
    return _files("web", web)


def files_of_page(page: PageSettings) -> TlsFiles | None:
    """The files of the page; None where there is none, or without TLS."""
    if not (page.port and page.tls_certificate):
        return None
    return _files("page", page)


def files_of_host(host: HostSettings) -> TlsFiles | None:
    """The files by which this host gives others its files; None where it does not, or without TLS."""
    if not (host.share_port and host.tls_certificate):
        return None
    return _files("host", host)


def files_of_destinations(settings: NodeSettings) -> dict[str, TlsFiles]:
    """The files of each destination with TLS, by its name."""
    return _files_of("destinations", settings.destinations, settings.listener)


def files_of_archives(settings: NodeSettings) -> dict[str, TlsFiles]:
    """The files of each archive with TLS, by its name."""
    return _files_of("archives", settings.archives, settings.listener)


def files_of_audit(settings: NodeSettings) -> TlsFiles | None:
    """The files for the syslog server of the audit trail; None where that is not talked to by TLS."""
    audit = settings.audit
    if not audit.host or audit.transport != "tls":
        return None
    own, files = files_of_listener(settings.listener) or TlsFiles(), _files("audit", audit)
    return TlsFiles(files.certificate or own.certificate, files.key or own.key, files.authorities)


def files_of_notification(at: str, told: NotificationSettings) -> TlsFiles | None:
    """The files for a server that messages go to; None where it is checked by what the system trusts."""
    named = _named(f"{at}.tls_authorities", told.tls_authorities)
    return None if named is None else TlsFiles(authorities=named)


def _files_of(
    table: str, places: Sequence[DestinationSettings | ArchiveSettings], listener: ListenerSettings
) -> dict[str, TlsFiles]:
    own = files_of_listener(listener) or TlsFiles()
    found = {}
    for number, each in enumerate(places, 1):
        files = _files(f"{table}#{number}", each)
        if each.tls:
            found[each.name] = TlsFiles(
                files.certificate or own.certificate, files.key or own.key, files.authorities
            )
        elif each.kind != "dicom" and files != TlsFiles():  # over the web
            found[each.name] = files
    return found


def check_files(settings: NodeSettings, now: float) -> None:
    """Raise ConfigError that says everything that is wrong with the files; `now` in seconds since 1970."""
    wrong = dict.fromkeys(fault for files in all_files(settings) for fault in faults(files, now))
    if wrong:
        raise config_error(
            list(wrong), hint="`casgan-dicom node certificates DIR` makes a set for tests, to compare with"
        )


def expiries(settings: NodeSettings, now: float) -> tuple[Expiry, ...]:
    """How long each configured certificate is still good for; `now` in seconds since 1970."""
    named = dict.fromkeys(
        each for files in all_files(settings) for each in (files.certificate, files.authorities) if each
    )
    return tuple(expiry(each, now) for each in named)


def all_files(settings: NodeSettings) -> Iterator[TlsFiles]:
    """The files of everything here that talks TLS."""
    listener = files_of_listener(settings.listener)
    yield from () if listener is None else (listener,)
    web = files_of_web(settings.web)
    yield from () if web is None else (web,)
    page = files_of_page(settings.page)
    yield from () if page is None else (page,)
    host = files_of_host(settings.host)
    yield from () if host is None else (host,)
    yield from files_of_destinations(settings).values()
    yield from files_of_archives(settings).values()
    audit = files_of_audit(settings)
    yield from () if audit is None else (audit,)
    for number, told in enumerate(settings.notifications, 1):
        files = files_of_notification(f"notifications#{number}", told)
        yield from () if files is None else (files,)


def _files(
    at: str,
    holder: AuditSettings
    | HostSettings
    | ListenerSettings
    | WebSettings
    | PageSettings
    | DestinationSettings
    | ArchiveSettings,
) -> TlsFiles:
    """What a table of the settings names; `at` is what messages call it."""
    return TlsFiles(
        _named(f"{at}.tls_certificate", holder.tls_certificate),
        _named(f"{at}.tls_key", holder.tls_key),
        _named(f"{at}.tls_authorities", holder.tls_authorities),
    )


def _named(key: str, path: str) -> NamedFile | None:
    return NamedFile(key, Path(path).expanduser()) if path else None
