"""Transfer syntaxes that pydicom has no constants for, some of which are younger than its table of UIDs.

What is not in that table is no transfer syntax to pydicom, and not encapsulated; so it is entered there by
its name in PS3.6 Table A-1 (2024d). A version of pydicom that knows them keeps its own entries.
"""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

UNCOMPRESSED_FRAMES = UID("1.2.840.10008.1.2.1.98")
"""Encapsulated Uncompressed Explicit VR Little Endian, PS3.5 A.4.11."""
DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
"""Deflated Image Frame Compression, PS3.5 A.4.14."""
JPEG_XL_LOSSLESS = UID("1.2.840.10008.1.2.4.110")
"""JPEG XL Lossless, PS3.5 A.4.12."""
JPEG_XL_OF_JPEG = UID("1.2.840.10008.1.2.4.111")
"""JPEG XL JPEG Recompression: a JPEG stream that lost by itself, packed without further loss."""
JPEG_XL = UID("1.2.840.10008.1.2.4.112")
"""JPEG XL, with loss or without."""

for _uid, _name in (
    (UNCOMPRESSED_FRAMES, "Encapsulated Uncompressed Explicit VR Little Endian"),
    (DEFLATED_FRAMES, "Deflated Image Frame Compression"),
    (JPEG_XL_LOSSLESS, "JPEG XL Lossless"),
    (JPEG_XL_OF_JPEG, "JPEG XL JPEG Recompression"),
    (JPEG_XL, "JPEG XL"),
):
    UID_dictionary.setdefault(_uid, (_name, "Transfer Syntax", "", "", _name.replace(" ", "")))
