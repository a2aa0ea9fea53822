"""Which settings of a node make sense, and how a node gets settings that do.

The rules are pure. A value of the wrong type never gets here: `casgan_dicom.config` sees to that. Both kinds
of problem are told in one message; a rule that needs a value which could not be read is left out of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from casgan_dicom.config import Reading, collect, config_error, leaves
from casgan_dicom.node.addresses import as_address, as_network, is_loopback
from casgan_dicom.node.settings import (
    PRIORITIES,
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    places_of,
)

PREFIX = "CASGAN_NODE"
"""What the variables of a node's settings begin with."""
DATA_VARIABLE = "CASGAN_DATA"
"""Variable that names the folder of this program's data; a node keeps its own in ``node`` below it."""

LONGEST_SECONDS = 31_536_000
"""A year; sockets and timers take no more than some decades."""
MOST_CONNECTIONS = 480
"""Select takes file numbers below 1024, and a connection may have its socket and a file open."""

_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
"""PS3.5 6.2, AE: 16 characters of the default repertoire, no backslash; here no space that peers trim."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]*))?")
_ENGINES = ("auto", "torch", "openvino")
_OURSELVES = ("listener.host", "listener.port", "listener.ae_title")
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
    reading = collect(NodeSettings, path, environ, overrides, prefix=PREFIX)
    settings = _with_data_folder(reading, environ)
    lines = list(reading.problems)
    for fault in _faults(settings):
        if not any(map(reading.in_doubt, fault.keys)):
            origin = next((reading.origins[key] for key in fault.keys if key in reading.origins), "default")
            lines.append(f"{origin}: {fault.text}")
    if lines:
        raise config_error(lines, hint=_HINT)
    return settings


def _with_data_folder(reading: Reading[NodeSettings], environ: Mapping[str, str]) -> NodeSettings:
    """The settings; where nobody named a data folder, it is the node's part of the program's."""
    if "data" in reading.origins or not environ.get(DATA_VARIABLE):
        return reading.settings
    return dataclasses.replace(reading.settings, data=Path(environ[DATA_VARIABLE]) / "node")


def _faults(settings: NodeSettings) -> Iterator[_Fault]:
    for key, value in leaves(settings):
        rule = _rule_of(key)
        if rule is not None and (wanted := rule(value)):
            yield _fault(key, value, wanted)
    yield from _of_listener(settings)
    yield from _of_times(settings)
    yield from _of_worker(settings)
    yield from _of_lists(settings)
    for number, destination in enumerate(settings.destinations, 1):
        if _is_ourselves(destination, settings.listener):
            at = f"destinations#{number}"
            yield _Fault(
                f"{at} is this node's own listener, want another: results would come back as new series",
                (f"{at}.host", f"{at}.port", f"{at}.ae_title", *_OURSELVES),
            )


def _fault(key: str, value: object, wanted: str, *others: str) -> _Fault:
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    return _Fault(f"{key} is {shown}, want {wanted}", (key, *others))


# Rules for one value: what is wanted instead, or nothing where it is right.


def _seconds(value: object) -> str:
    right = value is None or (isinstance(value, int | float) and 0 < value <= LONGEST_SECONDS)
    return "" if right else f"more than 0 and at most {LONGEST_SECONDS} (a year)"


def _ae_title(value: object) -> str:
    right = _AE_TITLE.fullmatch(str(value))
    return "" if right else "1 to 16 ASCII characters, no backslash, no space at either end"


def _ae_title_or_nothing(value: object) -> str:
    return "" if value == "" else _ae_title(value)


def _host(value: object) -> str:
    text = str(value)
    return "" if text and text.isprintable() and not set(text) & set(" /") else "an address or a name"


def _place(value: object) -> str:
    text = str(value)
    right = as_network(text) if "/" in text else as_address(text)
    return "" if right else "an IP address, or a network as 10.1.0.0/16"


def _places(value: object) -> str:
    found = value if isinstance(value, tuple) else (value,) if value else ()
    return next((wanted for wanted in map(_place, found) if wanted), "")


def _name(value: object) -> str:
    return "" if _NAME.fullmatch(str(value)) else "1 to 32 letters, digits, dashes and underscores"


def _bundle(value: object) -> str:
    return "" if value else "the name of a bundle, or a folder"


def _engine(value: object) -> str:
    return "" if value in _ENGINES else f"one of {', '.join(_ENGINES)}"


def _one_of(*words: str) -> Callable[[object], str]:
    return lambda value: "" if value in words else f"one of {', '.join(filter(None, words))}"


def _between(low: int, high: int | None = None) -> Callable[[object], str]:
    def rule(value: object) -> str:
        right = isinstance(value, int) and low <= value and (high is None or value <= high)
        return "" if right else f"at least {low}" if high is None else f"{low} to {high}"

    return rule


_RULES: Mapping[str, Callable[[object], str]] = {
    "listener.host": _host,
    "listener.port": _between(0, 65535),
    "listener.ae_title": _ae_title,
    "listener.max_connections": _between(1, MOST_CONNECTIONS),
    "listener.max_connections_per_address": _between(1),
    "listener.max_instance_bytes": _between(1),
    "listener.min_free_bytes": _between(0),
    "peers.ae_title": _ae_title,
    "peers.address": _places,
    "peers.addresses": _places,
    "peers.priority": _one_of("", *PRIORITIES),
    "worker.bundle": _bundle,
    "worker.engine": _engine,
    "worker.mode": _one_of("invent", "reference"),
    "worker.without_reference": _one_of("skip", "invent"),
    "worker.batch_frames": _between(1),
    "worker.deaths": _between(1),
    "destinations.name": _name,
    "destinations.host": _host,
    "destinations.port": _between(1, 65535),
    "destinations.ae_title": _ae_title,
    "destinations.calling_ae_title": _ae_title_or_nothing,
    "destinations.associations": _between(1, 16),
}
"""Rule of each key; those in seconds have `_seconds`."""


def _rule_of(key: str) -> Callable[[object], str] | None:
    key = re.sub(r"#\d+", "", key)
    return _seconds if key.endswith("_seconds") else _RULES.get(key)


# Rules for several values together.


def _of_listener(settings: NodeSettings) -> Iterator[_Fault]:
    listener, key = settings.listener, "listener.max_connections"
    if listener.max_connections_per_address > listener.max_connections:
        wanted = f"at most {key} ({listener.max_connections})"
        yield _fault(f"{key}_per_address", listener.max_connections_per_address, wanted, key)
    if _host(listener.host) or is_loopback(listener.host):
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
    names: dict[str, int] = {}
    for number, destination in enumerate(settings.destinations, 1):
        if (first := names.setdefault(destination.name, number)) != number:
            key, other = f"destinations#{number}.name", f"destinations#{first}.name"
            yield _fault(key, destination.name, f"no name twice: {other} is it too", other)


def _is_ourselves(destination: DestinationSettings, listener: ListenerSettings) -> bool:
    """Whether what is sent there comes back here, as far as the settings alone can tell."""
    if (destination.port, destination.ae_title) != (listener.port, listener.ae_title):
        return False
    everywhere = (own := as_address(listener.host)) is not None and own.is_unspecified
    if is_loopback(destination.host):
        return everywhere or is_loopback(listener.host)
    theirs = as_address(destination.host) or destination.host.lower()
    return theirs == (own or listener.host.lower())
