"""How a node becomes one of the hosts of a database: under its own name, beside none that it cannot bear."""

from __future__ import annotations

import secrets
from pathlib import Path

from casgan_dicom import __version__
from casgan_dicom.disk import write_whole
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.addresses import as_address
from casgan_dicom.node.settings import HostSettings, NodeSettings
from casgan_dicom.node.share.tenure import holder_of
from casgan_dicom.node.state.hosts import Host, Hosts, others_with
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import Leases, lease_of_host
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.ledger_tables import SCHEMA
from casgan_dicom.node.state.workflows import APPLICATION_VERSION


def host_of(settings: NodeSettings) -> Host:
    """This host, as the others are to know it."""
    own = settings.host
    return Host(
        name=own.name,
        address=_address(own) if own.share_port else "",
        roles=own.roles,
        devices=settings.worker.devices if "worker" in own.roles else (),
        program=__version__,
        ledger=SCHEMA,
        workflows=APPLICATION_VERSION,
    )


def join(settings: NodeSettings, ledger: Ledger, host: Host) -> None:
    """Enter this host among those of the ledger.

    Raises
    ------
    ConfigError
        Another host of this name lives, or one that runs other versions of the tables or the workflows.
    """
    _make_identity(Layout(settings.data).identity)
    hosts = Hosts(ledger)
    if others := others_with(hosts.all(), host.name, host.ledger, host.workflows):
        said = ", ".join(f"{each.host.name} ({each.host.program})" for each in others)
        raise ConfigError(
            f"host '{host.name}' ({host.program}) cannot work beside {said}: they run other versions of the"
            f" ledger or of the workflows (here {host.ledger} and {host.workflows})",
            hint="stop these hosts, start them with this version, or start this one with theirs",
        )
    lease = Leases(ledger).take(lease_of_host(host.name), holder_of(settings), settings.host.lease_seconds)
    if lease is None:
        raise ConfigError(
            f"host '{host.name}' runs already, with another data folder",
            hint="give each host a `name` of its own in [host]; one that was moved, or restored, may come in"
            f" {settings.host.lease_seconds:g} s after the other has ended",
        )
    hosts.enter(host)


def _make_identity(path: Path) -> None:
    if not path.exists():
        write_whole(path, f"{secrets.token_hex(8)}\n".encode("ascii"))


def _address(own: HostSettings) -> str:
    address = as_address(own.share_host)
    named = f"[{own.share_host}]" if address is not None and address.version == 6 else own.share_host
    return f"{'https' if own.tls_certificate else 'http'}://{named}:{own.share_port}"
