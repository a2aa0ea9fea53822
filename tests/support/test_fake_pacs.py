"""The PACS of our own leaves nothing open, whatever its peers do."""

from __future__ import annotations

import gc
import threading
import warnings
from contextlib import suppress

import pytest
from pynetdicom.transport import AssociationSocket

from tests.node.conftest import authority, modality, node
from tests.node.secure import Authority, Door, Pair, SecureWire, client, server
from tests.node.wire import ECHO_CONTEXT, IMPLICIT, RELEASE_RQ, VERIFICATION, Wire, pdu
from tests.support.fake_pacs import DEADLINE, NORMAL, FakePacs, mute

__all__ = ["authority", "modality", "node"]


def test_a_connection_that_is_reset_while_the_pacs_closes_it_is_closed(
    pacs: FakePacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, gone = threading.Event(), threading.Event()
    shut_down = AssociationSocket._shutdown_socket

    def shut_down_late(wrapper: AssociationSocket) -> None:
        closing.set()
        assert gone.wait(DEADLINE)
        shut_down(wrapper)

    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", shut_down_late)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        with Wire.associated(pacs.port, contexts={ECHO_CONTEXT: (VERIFICATION, [IMPLICIT])}) as peer:
            peer.send(pdu(RELEASE_RQ, bytes(4)))
            assert closing.wait(DEADLINE)
            peer.reset()
        gone.set()
        pacs.close_port()
        gc.collect()

    assert [str(each.message) for each in told] == []


def test_with_tls_it_takes_whom_its_authority_knows(authority: Authority, node: Pair, modality: Pair) -> None:
    with FakePacs(tls=server(authority, node)) as pacs:
        with SecureWire.let_in(pacs.port, client(authority, modality)) as wire:
            assert wire.echo() == 0
        for context in (None, client(authority)):
            with Door(pacs.port, context).wire() as unknown:
                with suppress(OSError):  # TLS 1.3 refuses a client behind its handshake, which may be now
                    unknown.send(b"\1\0\0\0\0\0")
                assert unknown.is_over()

    assert (pacs.associations, pacs.echoes) == (1, 1)


@pytest.mark.parametrize("end", ["normal", "closed"])
def test_who_is_mute_says_nothing_until_that_changes(
    authority: Authority, node: Pair, modality: Pair, end: str
) -> None:
    with FakePacs(mute(times=1), tls=server(authority, node)) as pacs:
        with pytest.raises(TimeoutError, match="handshake"):
            SecureWire(pacs.port, client(authority, modality), seconds=0.2)
        if end == "closed":
            pacs.close_port()
            pacs.open_port()
        else:
            pacs.behaviour = NORMAL

        with SecureWire.let_in(pacs.port, client(authority, modality)) as wire:
            assert wire.echo() == 0
