"""How text from outside is shown: in messages, on terminals and in logs.

A header, a peer or a file name may hold anything: patient data in the wrong element, sequences that move a
terminal's cursor or set its title, line feeds that forge a line of a log. So a value is quoted only where it
is what its value representation allows (`quoted`), and no character that a terminal obeys, or that reorders
or hides what stands beside it, is ever written as it is (`printable`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

Quotable = Literal["CS", "UI", "AE"]
"""Value representations that are quoted: none of them holds free text."""

_ALPHABETS: Mapping[Quotable, re.Pattern[str]] = MappingProxyType(
    {
        "CS": re.compile(r"[A-Z0-9 _]{1,16}"),
        "UI": re.compile(r"[0-9.]{1,64}"),
        "AE": re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}"),
    }
)
"""PS3.5 6.2: what one value may hold, and how long it may be."""
_NEXT = "\n  "
"""Begins a line of a list below a sentence."""
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters without a picture: controls, marks of direction, halves of pairs, unassigned ones,
ends of lines and paragraphs."""


def printable(text: str) -> str:
    """Text in one line, each character that is not to be seen as an escape: ``\\x1b``, ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in _OBEYED else char for char in text)


def printable_list(text: str) -> str:
    """The same for a sentence with a list below it: its indented lines stay, no other line feed does."""
    return _NEXT.join(map(printable, text.split(_NEXT)))


def quoted(value: object, vr: Quotable) -> str:
    """The value of an element in quotes, where it is one of its representation; else only what it is not.

    Parameters
    ----------
    value
        One value or several; whatever a reader made of it.
    vr
        Value representation (PS3.5 6.2).

    Returns
    -------
    str
        ``'XA'``, ``'DERIVED\\SECONDARY'``, ``absent or empty``, or how many characters there are of something
        that cannot be quoted.
    """
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        texts = [str(one) for one in value]
    else:
        texts = [str(value or "")]
    if not any(texts):
        return "absent or empty"
    whole = "\\".join(texts)
    if all(_ALPHABETS[vr].fullmatch(text) for text in texts if text):
        return f"'{whole}'"
    return f"no legal {vr} ({len(whole)} characters)"


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
