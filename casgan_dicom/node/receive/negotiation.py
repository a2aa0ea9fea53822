"""How an association begins: whoever asks for one is let in by the house, or told why not.

pynetdicom (3.0.4) knows a peer by its AE title alone, which anybody may call himself by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pynetdicom.acse import ACSE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made when it is imported

from casgan_dicom.node.receive.admission import TOO_MANY, Caller, Rejection
from casgan_dicom.node.receive.association_request import AssociationRequest
from casgan_dicom.uids import uid_name

if TYPE_CHECKING:
    from casgan_dicom.node.receive.server import _Association

_NAMED = 5
"""Contexts that are named which were refused."""


class Negotiation(ACSE):
    """The beginning of one association."""

    def _negotiate_as_acceptor(self) -> None:
        """Let the peer in, or not."""
        assoc = cast("_Association", self.assoc)
        asked = assoc.provider.asked
        if asked is None or not isinstance(self.requestor.primitive, A_ASSOCIATE):
            assoc.kill()  # it left before it asked for anything
            return
        rejection = _rejection(assoc, asked)
        if rejection is not None:
            assoc.provider.reject(rejection)
            self.send_reject(*rejection.codes)
            assoc.kill()
            return
        super()._negotiate_as_acceptor()
        refused = [str(context.abstract_syntax) for context in assoc.rejected_contexts]
        taken = {context.abstract_syntax for context in assoc.accepted_contexts}
        if not taken or (refused and taken == {Verification}):
            asked_for = ", ".join(map(uid_name, refused[:_NAMED])) or "none"
            assoc.provider.complain("no context accepted", f"presentation contexts asked for: {asked_for}")


def _rejection(assoc: _Association, asked: AssociationRequest) -> Rejection | None:
    """Why a peer is not let in; None, and it is in."""
    if asked.rejection is not None:
        return Rejection("request", (1, *asked.rejection), asked.fault)
    provider, house = assoc.provider, assoc.house
    found = house.admit(Caller(asked.calling, asked.called, assoc.address, provider.line.identity))
    if isinstance(found, Rejection):
        return found
    # Before the peer is told: a connection that comes at that moment must not take its place.
    if not house.connections.associated(assoc, found, found.max_associations):
        return TOO_MANY
    provider.let_in(found)
    return None
