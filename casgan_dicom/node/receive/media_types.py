"""Which media type to answer with, by what a client says that it takes (Accept, RFC 9110 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The one of `offered` that is liked best, the first of those that are liked as well; empty for none.

    Who asks for JSON without saying of which kind gets that of DICOM.
    """
    ranges = list(_ranges(accept.lower())) if accept.strip() else [("*/*", 1.0)]
    best, most = "", 0.0
    for media_type in offered:
        found = [_likes(name, weight, media_type) for name, weight in ranges]
        _, weight = max(found, default=(0, 0.0))
        if weight > most:
            best, most = media_type, weight
    return best


def _likes(name: str, weight: float, media_type: str) -> tuple[int, float]:
    """How exactly a range names a media type, 0 if it does not, and how much that is liked."""
    general = media_type.replace("dicom+", "")
    fits = {media_type: 4, general: 3, f"{media_type.partition('/')[0]}/*": 2, "*/*": 1}
    exact = fits.get(name, 0)
    return exact, weight if exact else 0.0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for text in accept.split(","):
        name, *parameters = (each.strip() for each in text.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _weight(value.strip())
        yield name, weight


def _weight(text: str) -> float:
    """A weight; 0 where it is none, so that what is meant is not guessed."""
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
