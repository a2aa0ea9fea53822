"""What a client says that it takes decides what it gets."""

from __future__ import annotations

import pytest

from casgan_dicom.node.receive.media_types import preferred

JSON, XML = "application/dicom+json", "application/dicom+xml"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (XML, XML),
        ("APPLICATION/DICOM+XML", XML),
        (f"{JSON};q=0.5, {XML}", XML),
        (f"{JSON}, {XML}", JSON),
        (f"*/*, {JSON};q=0", XML),
        (f"{JSON};q=0", ""),
        ("application/json", JSON),
        ("application/xml", XML),
        ('multipart/related; type="application/dicom+xml"', ""),
        (f"{JSON};q=much", ""),
        ("text/plain, image/*", ""),
        (",;,", ""),
    ],
)
def test_the_one_that_is_liked_best_is_chosen(accept: str, wanted: str) -> None:
    assert preferred(accept, (JSON, XML)) == wanted
