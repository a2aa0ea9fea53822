"""The body of a request to store: one DICOM file, or several as multipart/related (RFC 2387), as it comes.

Each part is a file, and is taken when its end is here; what is behind the last whole part is not.
"""

from __future__ import annotations

from collections.abc import Callable

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from casgan_dicom.node.receive.posted_file import PostedFile
from casgan_dicom.node.receive.reception import NOT_UNDERSTOOD
from casgan_dicom.node.receive.store_answer import Outcome

DICOM = "application/dicom"
_LONGEST_BOUNDARY = 200
"""RFC 2046 5.1.1 says 70; Orthanc's plug-in has 73."""
_PLAIN = ("", "binary", "8bit", "7bit")
"""Content-Transfer-Encoding of what lies as it is."""


class UnfitError(Exception):
    """A request that cannot be read at all; the message says why, without patient data."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        """Of HTTP."""


class StoreBody:
    """A body as it comes; for one thread at a time.

    Parameters
    ----------
    content_type
        Of the request.
    new_file
        Makes what takes a file.

    Raises
    ------
    UnfitError
        The request holds something else.
    """

    def __init__(self, content_type: str, new_file: Callable[[], PostedFile]) -> None:
        self.outcomes: list[Outcome] = []
        """Of all files that were whole so far."""
        self.faults: list[str] = []
        """Why some of these were not stored."""
        self._new_file = new_file
        self._file: PostedFile | None = None
        self._is_whole = False
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        boundary = _boundary(content_type)
        self._parser = None if boundary is None else self._parser_of(boundary)
        if self._parser is None:
            self._file = new_file()

    def write(self, data: bytes) -> None:
        """Take more of it. Raises UnfitError where it is not what it said."""
        if self._parser is None:
            self._data(data, 0, len(data))
            return
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise UnfitError(400, "the body is not what its boundary says") from error

    def end(self) -> None:
        """All of it is here. Raises UnfitError where something is missing."""
        if self._parser is None:
            self._end_of_file()
        elif not self._is_whole:
            raise UnfitError(400, "the body ends before its last boundary")

    def discard(self) -> None:
        """Let go of a file that is not whole."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _parser_of(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_of_header,
                "on_headers_finished": self._begin_file,
                "on_part_data": self._data,
                "on_part_end": self._end_of_file,
                "on_end": self._end_of_all,
            },
        )

    def _end_of_header(self) -> None:
        name, value = (each.decode("latin-1").strip().lower() for each in (self._name, self._value))
        self._headers[name] = value
        self._name.clear()
        self._value.clear()

    def _begin_file(self) -> None:
        self._file = self._new_file()
        kind = self._headers.get("content-type", DICOM).partition(";")[0].strip()
        if kind != DICOM:
            self._file.refuse(NOT_UNDERSTOOD, f"is in a part that is no {DICOM}")
        elif self._headers.get("content-transfer-encoding", "") not in _PLAIN:
            self._file.refuse(NOT_UNDERSTOOD, "is in a part with a Content-Transfer-Encoding")

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._file is not None
        self._file.write(memoryview(data)[start:end])

    def _end_of_file(self) -> None:
        assert self._file is not None
        file, self._file = self._file, None
        outcome = file.end()
        self.outcomes.append(outcome)
        if outcome.status:
            self.faults.append(file.fault)

    def _end_of_all(self) -> None:
        self._is_whole = True


def _boundary(content_type: str) -> bytes | None:
    """The boundary of multipart/related; None for one file alone. Raises UnfitError for anything else."""
    kind, parameters = parse_options_header(content_type)
    if kind == DICOM.encode():
        return None
    if kind != b"multipart/related":
        raise UnfitError(415, f"want multipart/related of {DICOM}, or {DICOM}")
    of = parameters.get(b"type", DICOM.encode()).decode("latin-1").strip().lower()
    if of in ("application/dicom+json", "application/dicom+xml"):
        raise UnfitError(
            415, f"metadata with bulk data apart is not taken: send {DICOM}, each file in a part"
        )
    if of != DICOM:
        raise UnfitError(415, f"want parts of {DICOM}")
    boundary = parameters.get(b"boundary", b"")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise UnfitError(400, f"boundary of multipart/related: want 1 to {_LONGEST_BOUNDARY} characters")
    return boundary
