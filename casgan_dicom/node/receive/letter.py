"""A data set that is a message and no instance: kept in memory, never in the spool."""

from __future__ import annotations

from casgan_dicom.node.commitment import LONGEST_DATA_SET
from casgan_dicom.node.receive.commands import Request


class Letter:
    """The data set of a request about storage commitment, as far as it has come.

    Parameters
    ----------
    request
        The request.
    transfer_syntax
        Of the presentation context.
    """

    def __init__(self, request: Request, transfer_syntax: str) -> None:
        self.request = request
        self.transfer_syntax = transfer_syntax
        self.too_long = False
        """Whether waiting for the end makes no sense: it may never come."""
        self._content = bytearray()

    @property
    def content(self) -> bytes:
        """What has come."""
        return bytes(self._content)

    def write(self, data: memoryview) -> None:
        """Take more of it."""
        if len(self._content) + len(data) > LONGEST_DATA_SET:
            self.too_long = True
            self.discard()
        if not self.too_long:
            self._content += data

    def discard(self) -> None:
        """Forget what has come."""
        self._content.clear()
