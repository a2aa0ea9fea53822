"""What proves that a file is the one that the ledger speaks of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydicom.filereader import read_file_meta_info

_BEFORE_META = 132 + 12
"""Bytes of preamble, prefix and (0002,0000), which says how many follow it."""
_HEAD = bytes(128) + b"DICM"
_PIECE_BYTES = 1024 * 1024


def instance_sha256(path: Path, sop_uid: str) -> str:
    """Digest of an instance, as the ledger has it: of transfer syntax, a line feed and the data set.

    Empty where the file is no DICOM file as the spool writes them, or says that it is another instance.
    Raises OSError where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_HEAD))
        meta = read_file_meta_info(path)
        if head != _HEAD or meta.MediaStorageSOPInstanceUID != sop_uid:
            return ""
        syntax, offset = str(meta.TransferSyntaxUID), _BEFORE_META + int(meta.FileMetaInformationGroupLength)
    except OSError:
        raise
    except Exception:  # what is no DICOM file makes a parser raise anything
        return ""
    digest = hashlib.sha256(syntax.encode() + b"\n")
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
