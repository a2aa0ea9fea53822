"""Which settings of a node make sense, and how a node gets settings that do.

The rules are pure. A value of the wrong type never gets here: `casgan_dicom.config` sees to that. Both kinds
of problem are told in one message; a rule that needs a value which could not be read is left out of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from casgan_dicom.config import Reading, collect, config_error, leaves
from casgan_dicom.node.access import access_faults
from casgan_dicom.node.addresses import as_address, as_network, is_loopback
from casgan_dicom.node.archive_rules import archive_faults
from casgan_dicom.node.audit_rules import audit_faults
from casgan_dicom.node.destination_rules import wrong_together
from casgan_dicom.node.host_rules import host_faults
from casgan_dicom.node.notification_rules import notification_faults
from casgan_dicom.node.settings import (
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    places_of,
    titles_of,
)
from casgan_dicom.node.state_rules import state_faults
from casgan_dicom.node.values import host, instead_of
from casgan_dicom.node.web_rules import web_faults

PREFIX = "CASGAN_NODE"
"""What the variables of a node's settings begin with."""
DATA_VARIABLE = "CASGAN_DATA"
"""Variable that names the folder of this program's data; a node keeps its own in ``node`` below it."""

_DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]*))?")
_OURSELVES = ("listener.host", "listener.port", "listener.ae_title", "listener.ae_titles")
_HINT = "deploy/node.toml shows every key with its meaning and its default"
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class _Fault:
    """One value, or several together, that mean nothing."""

    text: str
    """Which key, what was found, what was wanted."""
    keys: tuple[str, ...]
    """Every key that the rule looked at, the one to change first."""


def problems(settings: NodeSettings) -> tuple[str, ...]:
    """Say everything that makes no sense, a line each; empty if a node can start with these settings."""
    return tuple(fault.text for fault in _faults(settings))


def load_node_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] = _NOTHING
) -> NodeSettings:
    """Read the settings of a node and check them.

    Parameters
    ----------
    path
        The TOML file; None for no file.
    environ
        The environment: ``CASGAN_NODE_…`` for each key outside lists of tables, and ``CASGAN_DATA``.
    overrides
        Options by dotted key, such as ``listener.port``.

    Raises
    ------
    ConfigError
        Anything is wrong; the message says everything that is.
    """
    settings, lines = examined(path, environ, overrides)
    if lines:
        raise config_error(lines, hint=_HINT)
    return settings


def examined(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] = _NOTHING
) -> tuple[NodeSettings, list[str]]:
    """Read like `load_node_settings`, but hand back everything that is wrong, a line each."""
    reading = collect(NodeSettings, path, environ, overrides, prefix=PREFIX)
    settings = _with_data_folder(reading, environ)
    lines = list(reading.problems)
    for fault in _faults(settings):
        if not any(map(reading.in_doubt, fault.keys)):
            origin = next((reading.origins[key] for key in fault.keys if key in reading.origins), "default")
            lines.append(f"{origin}: {fault.text}")
    return settings, lines


def _with_data_folder(reading: Reading[NodeSettings], environ: Mapping[str, str]) -> NodeSettings:
    """The settings; where nobody named a data folder, it is the node's part of the program's."""
    if "data" in reading.origins or not environ.get(DATA_VARIABLE):
        return reading.settings
    return dataclasses.replace(reading.settings, data=Path(environ[DATA_VARIABLE]) / "node")


def _faults(settings: NodeSettings) -> Iterator[_Fault]:
    for key, value in leaves(settings):
        if instead := instead_of(key, value):
            yield _fault(key, value, instead)
    yield from _of_listener(settings)
    yield from _of_times(settings)
    yield from _of_worker(settings)
    yield from _of_retention(settings)
    yield from _of_lists(settings)
    found = (
        *access_faults(settings),
        *web_faults("web", settings.web),
        *web_faults("page", settings.page),
        *host_faults(settings),
        *state_faults(settings.state),
        *audit_faults(settings.audit),
    )
    yield from (_Fault(text, keys) for text, keys in found)
    yield from _of_notifications(settings)
    for number, archive in enumerate(settings.archives, 1):
        for text, keys in archive_faults(f"archives#{number}", archive):
            yield _Fault(text, keys)
    yield from _of_rules(settings)
    for number, destination in enumerate(settings.destinations, 1):
        for text, keys in wrong_together(f"destinations#{number}", destination, settings.retry):
            yield _Fault(text, keys)
        if _is_ourselves(destination, settings.listener):
            at = f"destinations#{number}"
            yield _Fault(
                f"{at} is this node's own listener, want another: results would come back as new series",
                (f"{at}.host", f"{at}.port", f"{at}.ae_title", *_OURSELVES),
            )
        ours = titles_of(settings.listener)
        if destination.commitment and destination.calling_ae_title not in ("", *ours):
            key = f"destinations#{number}.calling_ae_title"
            wanted = f"nothing or {' or '.join(map(repr, ours))} with commitment: reports are addressed to it"
            yield _fault(key, destination.calling_ae_title, wanted, "listener.ae_title")


def _fault(key: str, value: object, wanted: str, *others: str) -> _Fault:
    plain = str(value) if isinstance(value, Path) else value
    shown = f"{plain:g}" if isinstance(plain, float) else repr(plain)
    return _Fault(f"{key} is {shown}, want {wanted}", (key, *others))


# Rules for several values together.


def _of_listener(settings: NodeSettings) -> Iterator[_Fault]:
    listener, key = settings.listener, "listener.max_connections"
    if listener.max_connections_per_address > listener.max_connections:
        wanted = f"at most {key} ({listener.max_connections})"
        yield _fault(f"{key}_per_address", listener.max_connections_per_address, wanted, key)
    if host(listener.host) or is_loopback(listener.host):
        return
    if not any(places_of(peer) for peer in settings.peers):
        wanted = "a loopback address, or [[peers]] with an address that say who may send here from elsewhere"
        yield _fault("listener.host", listener.host, wanted, "peers")


def _of_times(settings: NodeSettings) -> Iterator[_Fault]:
    """Short ≤ quiet ≤ cap, for every sender; and no first wait longer than the longest."""
    completion = settings.completion
    short, cap = "completion.short_seconds", "completion.cap_seconds"
    quiets = {"completion.quiet_seconds": completion.quiet_seconds}
    for number, peer in enumerate(settings.peers, 1):
        if peer.quiet_seconds is not None:
            quiets[f"peers#{number}.quiet_seconds"] = peer.quiet_seconds
    for key, quiet in quiets.items():
        if quiet < completion.short_seconds:
            yield _fault(key, quiet, f"at least {short} ({completion.short_seconds:g})", short)
        if quiet > completion.cap_seconds:
            yield _fault(key, quiet, f"at most {cap} ({completion.cap_seconds:g})", cap)
    for name, waits in (("retry", settings.retry), ("restart", settings.restart)):
        if waits.first_seconds > waits.longest_seconds:
            longest = f"{name}.longest_seconds"
            wanted = f"at most {longest} ({waits.longest_seconds:g})"
            yield _fault(f"{name}.first_seconds", waits.first_seconds, wanted, longest)


def _of_worker(settings: NodeSettings) -> Iterator[_Fault]:
    devices, key = settings.worker.devices, "worker.devices"
    if not devices or not all(map(_DEVICE.fullmatch, devices)):
        yield _fault(key, devices, "one or more of auto, cpu, cuda and cuda:N")
    elif len({"cuda:0" if device == "cuda" else device for device in devices}) < len(devices):
        yield _fault(key, devices, "each device once (cuda is cuda:0)")


def _of_retention(settings: NodeSettings) -> Iterator[_Fault]:
    """Both sizes or none, and room between them; and room before there is too little for the listener."""
    high, low = settings.retention.high_bytes, settings.retention.low_bytes
    if not 0 < low < high and (low or high):
        key, other = "retention.low_bytes", "retention.high_bytes"
        wanted = f"more than 0 and less than {other} ({high})" if high else f"0, as {other} is"
        yield _fault(key, low, wanted, other)
    free, refused = settings.retention.free_bytes, settings.listener.min_free_bytes
    if 0 < free <= refused:
        key, other = "retention.free_bytes", "listener.min_free_bytes"
        yield _fault(key, free, f"0, or more than {other} ({refused})", other)


def _of_lists(settings: NodeSettings) -> Iterator[_Fault]:
    """What must not be there twice."""
    senders: dict[object, int] = {}
    for number, peer in enumerate(settings.peers, 1):
        for place in places_of(peer) or ("this machine",):
            identity = (peer.ae_title, as_network(place) or as_address(place) or place)
            known, first = identity in senders, senders.setdefault(identity, number)
            if known:
                keys = ("ae_title", "address", "addresses")
                at = tuple(f"peers#{n}.{name}" for n in (number, first) for name in keys)
                found = f"{peer.ae_title!r} from {place}"
                yield _Fault(f"peers#{number} is {found}, want no sender twice: peers#{first} is it too", at)
    yield from _twice("destinations", [each.name for each in settings.destinations])
    yield from _of_pulls(settings)
    yield from _of_inboxes(settings)
    yield from _twice("notifications", [each.name for each in settings.notifications])
    yield from _twice("archives", [each.name for each in settings.archives])


def _of_pulls(settings: NodeSettings) -> Iterator[_Fault]:
    """Pulls from archives that are not there."""
    names = [each.name for each in settings.archives]
    for number, pull in enumerate(settings.pulls, 1):
        if pull.archive not in names:
            wanted = f"the name of one of [[archives]] ({', '.join(names) or 'there are none'})"
            yield _fault(f"pulls#{number}.archive", pull.archive, wanted, "archives")


def _of_inboxes(settings: NodeSettings) -> Iterator[_Fault]:
    """Folders whose files would be taken twice, or are the node's own: what is taken is deleted."""
    yield from _twice("inboxes", [each.path for each in settings.inboxes], "path")
    data = settings.data.absolute()
    for number, inbox in enumerate(settings.inboxes, 1):
        path = Path(inbox.path)
        if path.is_relative_to(data) or data.is_relative_to(path):
            wanted = f"a folder outside `data` ({data}), and not around it: what is in it is deleted"
            yield _fault(f"inboxes#{number}.path", inbox.path, wanted, "data")
        for other, destination in enumerate(settings.destinations, 1):
            folder = destination.folder
            if folder is not None and (path.is_relative_to(folder) or folder.is_relative_to(path)):
                key = f"destinations#{other}.folder"
                wanted = f"a folder apart from {key} ({folder}): what is in it is taken, and deleted"
                yield _fault(f"inboxes#{number}.path", inbox.path, wanted, key)


def _twice(table: str, names: Sequence[str], key: str = "name") -> Iterator[_Fault]:
    """Names of a list of tables that stand there before."""
    known: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if (first := known.setdefault(name, number)) != number:
            at, other = f"{table}#{number}.{key}", f"{table}#{first}.{key}"
            yield _fault(at, name, f"no {key} twice: {other} is it too", other)


def _of_notifications(settings: NodeSettings) -> Iterator[_Fault]:
    for number, told in enumerate(settings.notifications, 1):
        for text, keys in notification_faults(f"notifications#{number}", told):
            yield _Fault(text, keys)


def _of_rules(settings: NodeSettings) -> Iterator[_Fault]:
    if settings.rules:
        # Imported here: who has no rules need not wait for what forms of output are made of.
        from casgan_dicom.node.rules.checks import rule_faults  # noqa: PLC0415

        names = [destination.name for destination in settings.destinations]
        yield from (_Fault(text, keys) for text, keys in rule_faults(settings.rules, names))


def _is_ourselves(destination: DestinationSettings, listener: ListenerSettings) -> bool:
    """Whether what is sent there comes back here, as far as the settings alone can tell."""
    if destination.port != listener.port or destination.ae_title not in titles_of(listener):
        return False
    everywhere = (own := as_address(listener.host)) is not None and own.is_unspecified
    if is_loopback(destination.host):
        return everywhere or is_loopback(listener.host)
    theirs = as_address(destination.host) or destination.host.lower()
    return theirs == (own or listener.host.lower())
