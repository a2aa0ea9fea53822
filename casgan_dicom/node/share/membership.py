"""How a node becomes one of the hosts of a database: under its own name, beside none that it cannot bear."""

from __future__ import annotations

import secrets
from contextlib import suppress

from casgan_dicom import __version__
from casgan_dicom.disk import write_whole
from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.addresses import as_address
from casgan_dicom.node.settings import HostSettings, NodeSettings
from casgan_dicom.node.share.tenure import RENEWALS, holder_of
from casgan_dicom.node.state.hosts import Host, Hosts, others_with
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import Lease, Leases, lease_of_host
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.ledger_tables import SCHEMA

ALONE_SECONDS = 15.0
"""Silent for so long, a node without a name counts as gone."""

log = get_logger("hosts")


def host_of(settings: NodeSettings) -> Host:
    """This host, as the others are to know it."""
    # Imported here: the supervisor of a node by itself runs no workflows.
    from casgan_dicom.node.state.workflows import APPLICATION_VERSION  # noqa: PLC0415

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
        Another host of this name lives, or one that runs other versions of the tables or the workflows; the
        data folder is another's; or a node without a name works here, or has left files that are not here.
    """
    _identify(settings)
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
    hosts.enter(host, holder_of(settings))
    _sign(settings)


class Membership:
    """The place of a node on a database that others can reach, for as long as its supervisor runs.

    A host with a name is among others, and its keeper renews its lease. A node without one is alone: its
    supervisor holds that place, and no other node may work on the database.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.

    Raises
    ------
    ConfigError
        It cannot come in, see `join`; or it has no name, and another works on this database.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger) -> None:
        self._leases = Leases(ledger)
        self._lease: Lease | None = None
        self._due = 0.0
        if settings.host.name:
            join(settings, ledger, host_of(settings))
        elif settings.state.database:
            self._lease = _alone(settings, ledger)

    def renew(self, now: float) -> None:
        """Go on; `now` is of a clock that nobody sets. Raises ConfigError if another node has come in."""
        if self._lease is None or now < self._due:
            return
        self._due = now + ALONE_SECONDS / RENEWALS
        try:
            kept = self._leases.renew(self._lease, ALONE_SECONDS)
        except LedgerError as error:
            log.exception("node cannot show that it lives", error=error)
            return
        if kept is None:
            raise ConfigError(
                "another node without a name works on this database by now",
                hint="give each of them a `name` of its own in [host]",
            )

    def leave(self) -> None:
        """Make room for another node at once."""
        if self._lease is not None:
            with suppress(LedgerError):
                self._leases.let_go(self._lease)


def _alone(settings: NodeSettings, ledger: Ledger) -> Lease:
    """The lease of a node that shares its database with nobody. Raises ConfigError."""
    _identify(settings)
    live = [each.host.name for each in Hosts(ledger).all() if each.is_live]
    lease = None if live else Leases(ledger).take(lease_of_host(""), holder_of(settings), ALONE_SECONDS)
    if lease is None:
        said = f"hosts {', '.join(live)} work" if live else "another node works"
        raise ConfigError(
            f"{said} on this database, and this one has no name",
            hint="give each of them a `name` of its own in [host], or this one another database or schema;"
            f" a node that was moved may start {ALONE_SECONDS:g} s after the other has ended",
        )
    return lease


def _identify(settings: NodeSettings) -> None:
    """See that the data folder is that of this host. Raises ConfigError if it is another's.

    A listener deletes what no row of its host speaks of: under another name, that would be everything.
    """
    path, name = Layout(settings.data).identity, settings.host.name
    if not path.exists():
        write_whole(path, f"{name} {secrets.token_hex(8)}\n".encode("ascii"))
        return
    known = path.read_text(encoding="ascii").rpartition(" ")[0]
    if known not in ("", name):
        raise ConfigError(
            f"data folder {settings.data}: it is that of host '{known}', and host.name is '{name}'",
            hint=f"set `name` in [host] to '{known}' again, or give this host a data folder of its own",
        )


def _sign(settings: NodeSettings) -> None:
    """Write into the data folder whose it is from now on: the files in it are entered under that name."""
    path = Layout(settings.data).identity
    said = f"{holder_of(settings)}\n"
    if path.read_text(encoding="ascii") != said:
        write_whole(path, said.encode("ascii"))


def _address(own: HostSettings) -> str:
    address = as_address(own.share_host)
    named = f"[{own.share_host}]" if address is not None and address.version == 6 else own.share_host
    return f"{'https' if own.tls_certificate else 'http'}://{named}:{own.share_port}"
