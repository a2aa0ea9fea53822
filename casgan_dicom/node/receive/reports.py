"""What destinations report about storage commitment, on associations that they open to us.

    0000  when what the report says is written down, or changes nothing any more
    0110  when no request of ours has that Transaction UID (0008,1195), or it was for somebody else
    0115  when the data set says nothing about a commitment

Whoever knows a Transaction UID could say that objects are kept. So a report counts only if it comes from the
destination that was asked: its AE title, from its address, or from one that `peers` gives that title.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import time

from casgan_dicom.log import get_logger
from casgan_dicom.node.addresses import is_within
from casgan_dicom.node.commitment import (
    PROCESSING_FAILURE,
    SUCCESS,
    CommitmentError,
    Report,
    decode_report,
)
from casgan_dicom.node.peers import peer_of
from casgan_dicom.node.receive.commands import Answer
from casgan_dicom.node.receive.letter import Letter
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.bells import COORDINATOR, ring
from casgan_dicom.node.state.commitments import Commitments, bell_of
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import LedgerError

_LONGEST_COMMENT = 64

log = get_logger("listener")


def addresses_of(host: str) -> tuple[str, ...]:
    """The IP addresses of a host; none where it is not known."""
    try:
        return tuple({str(found[4][0]) for found in socket.getaddrinfo(host, None)})
    except (OSError, UnicodeError):
        return ()


def reporters(
    settings: NodeSettings, calling: str, address: str, resolve: Callable[[str], tuple[str, ...]]
) -> tuple[str, ...]:
    """Names of the destinations for which somebody may speak: none for a stranger.

    Parameters
    ----------
    settings
        Of the node.
    calling, address
        What he calls himself, and where he comes from.
    resolve
        The IP addresses of a host.
    """
    named = [each for each in settings.destinations if each.ae_title == calling and each.commitment]
    if peer_of(settings, calling, address) is not None:
        return tuple(each.name for each in named)
    return tuple(
        each.name for each in named if any(is_within(address, found) for found in resolve(each.host))
    )


class Reports:
    """The reports that come in.

    Parameters
    ----------
    settings
        Of the node.
    commitments
        Of the node's ledger.
    clock
        Seconds since 1970.
    """

    def __init__(
        self, settings: NodeSettings, commitments: Commitments, clock: Callable[[], float] = time
    ) -> None:
        self.settings = settings
        """By which reports count from now on."""
        self._commitments = commitments
        self._clock = clock
        self._bells = Layout(settings.data).bells

    def take(self, letter: Letter, calling: str, address: str) -> Answer:
        """Write down what a report says, and say what to answer; never raises."""
        told = log.bind(ae_title=calling, address=address)
        try:
            report = decode_report(letter.content, letter.transfer_syntax)
            return self._take(report, calling, address)
        except CommitmentError as error:
            told.warning("report about a commitment refused", reason=str(error))
            return Answer(error.status, str(error)[:_LONGEST_COMMENT])
        except LedgerError as error:
            told.exception("report about a commitment cannot be written down", error=error)
        except Exception as error:  # our own fault: the peer may report again
            told.exception("report about a commitment refused", error=error)
        return Answer(PROCESSING_FAILURE, "the report cannot be written down now")

    def _take(self, report: Report, calling: str, address: str) -> Answer:
        names = reporters(self.settings, calling, address, addresses_of)
        heard = self._commitments.heard(report, names, self._clock())
        told = log.bind(
            ae_title=calling,
            address=address,
            transaction_uid=report.transaction_uid,
            kept=len(report.kept),
            failed=len(report.failed),
        )
        if heard == "unknown":
            told.warning("report about a commitment refused", reason="nobody of that title was asked for it")
            return Answer(PROCESSING_FAILURE, "Transaction UID (0008,1195) is not known")

        def afterwards() -> None:
            for name in names:
                ring(self._bells, bell_of(name))
            ring(self._bells, COORDINATOR)
            told.info("commitment reported", outcome=heard)

        return Answer(SUCCESS, afterwards=afterwards)
