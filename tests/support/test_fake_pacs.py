"""The PACS of our own leaves nothing open, whatever its peers do."""

from __future__ import annotations

import gc
import threading
import warnings

import pytest
from pynetdicom.transport import AssociationSocket

from tests.node.wire import ECHO_CONTEXT, IMPLICIT, RELEASE_RQ, VERIFICATION, Wire, pdu
from tests.support.fake_pacs import DEADLINE, FakePacs


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
