"""The projection in a cardiologist's words."""

from __future__ import annotations


def view_words(primary: object, secondary: object) -> str:
    """Name a view by its positioner angles in degrees, e.g. ``RAO32 CRA2``.

    Positive is towards the patient's left and towards the head (PS3.3 C.8.7.5.1.2); straight on is ``AP``. An
    angle that is no number, or none of a circle, is left out; with neither the text is empty.
    """
    words = []
    for angle, positive, zero, negative in ((primary, "LAO", "AP", "RAO"), (secondary, "CRA", "", "CAU")):
        if isinstance(angle, int | float) and -180 <= angle <= 180:
            degrees = round(angle)
            words.append(zero if degrees == 0 else f"{positive if degrees > 0 else negative}{abs(degrees)}")
    return " ".join(word for word in words if word)


def view_degrees(primary: object, secondary: object) -> str:
    """A view by its angles alone, e.g. ``-32/+2 deg``: which side they mean is not said."""
    known = [
        (name, f"{round(angle):+d}")
        for name, angle in (("primary", primary), ("secondary", secondary))
        if isinstance(angle, int | float) and -180 <= angle <= 180
    ]
    if len(known) == 1:
        return f"{known[0][0]} {known[0][1]} deg"
    return "/".join(angle for _, angle in known) + " deg" if known else ""
