"""Attribute tables of created SOP instances, in the form of PS3.2.

Nothing here is written by hand: values come from really derived objects (``samples.py``), modules and types
from the tables of PS3.3 that highdicom carries.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from highdicom import __version__
from highdicom._standard_utils import (
    get_iod_module_map,
    get_module_attribute_map,
    get_sop_class_iod_map,
)
from pydicom.datadict import dictionary_description, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from docs.samples import Source, sources

TITLES: Mapping[str, str] = {
    "cine angiogram": "Angiogram, 8 bits",
    "words angiogram": "Angiogram, 12 or 16 bits (`--bits`)",
    "frames frame": "Single frame of an angiogram (`--single-frame`)",
    "cine attention": "Attention map (`--maps`)",
    "cine vessels": "Vessel mask (`--maps`)",
    "cine segmentation": "Segmentation of the vessels (`--seg`)",
    "cine quality-record": "Quality record (`--sr`)",
    "review report": 'Verdict as a report (`review = "sr"`)',
    "review selection": 'Verdict as a selection (`review = "ko"`)',
}
"""Objects with a table of their own, by form and name."""

_HEAD = "| module | attribute | tag | VR | type | presence | value | source |\n|" + 8 * "---|"
_DEEP = ("ContentSequence",)
"""Sequences whose items are described by a template, not attribute by attribute."""
_LONGEST = 60
_SHORT = ("sc", "sop", "voi", "lut", "sr")
_COMMON = ("Patient", "Clinical Trial Subject", "General Study", "Patient Study", "Clinical Trial Study")

Where = tuple[tuple[int, str], ...]
"""Tags from the root down to an attribute, with the name of the item behind those of sequences."""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    module: str
    """Name of the module that the attribute belongs to."""
    path: str
    """Name of the attribute, behind those of the sequences that it is in."""
    element: DataElement
    """The attribute as it was written."""
    kind: str
    """Type (1, 1C, 2, 2C, 3) in that module."""
    presence: str
    """ALWAYS, VNAP, ANAP or EMPTY, as PS3.2 has them."""
    value: str
    """The value where it is always the same."""
    source: str
    """AUTO: made here; FIXED; SRC: that of the source, or an attribute of the source with another name."""

    @property
    def is_common(self) -> bool:
        """Whether it says whose object this is, which all of them say alike."""
        return self.module in _COMMON

    def __str__(self) -> str:
        tag, vr = str(self.element.tag), self.element.VR
        cells = (self.module, self.path, tag, vr, self.kind, self.presence, self.value, self.source)
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Described:
    """One kind of created object."""

    title: str
    """What it is, and by which option it comes."""
    sop_class: UID
    """Its SOP Class UID."""
    rows: tuple[Row, ...]
    """Its attributes, those of patient and study included."""
    codes: tuple[tuple[str, str], ...]
    """Codes that are always there, at every depth, each with the name of the sequence that holds it."""


def described() -> tuple[Described, ...]:
    """Every kind of object, as it is created now; KeyError for one without a title."""
    with tempfile.TemporaryDirectory() as folder:
        made = sources(Path(folder))
        titles = {name: TITLES[name] for name in made[0].made}
        return tuple(
            Described(
                title,
                made[0].made[name].SOPClassUID,
                tuple(rows(name, made)),
                tuple(sorted(set.intersection(*(set(_codes(source.made[name])) for source in made)))),
            )
            for name, title in titles.items()
        )


def common_table(kinds: Sequence[Described]) -> str:
    """What all objects say of patient and study; ValueError if they do not all say it alike."""
    found = {"\n".join(str(row) for row in kind.rows if row.is_common) for kind in kinds}
    if len(found) != 1:
        raise ValueError("patient and study are not carried over alike to all objects")
    return f"{_HEAD}\n{found.pop()}"


def own_table(kind: Described) -> str:
    """What one kind of object says besides."""
    return "\n".join([_HEAD, *(str(row) for row in kind.rows if not row.is_common)])


def rows(name: str, made: tuple[Source, Source, Source]) -> Iterator[Row]:
    """Lines of the table of one object, in the order of its modules."""
    first, second, bare = (
        dict(_walk(source.made[name], frame=frame)) for source, frame in zip(made, (0, -1, 0), strict=True)
    )
    modules = _modules(made[0].made[name].SOPClassUID)
    known = [_values(source.ds) for source in made]
    found = []
    for where, element in (second | first).items():
        place, module, kind = _place(where, modules)
        values = [_text(each[where]) if where in each else None for each in (first, second, bare)]
        source = _origin(element, values, known)
        fixed = _shown(_text(element)) if source == "FIXED" else ""
        presence = _presence(element, bare.get(where))
        found.append((place, Row(module, _path(where), element, kind, presence, fixed, source)))
    return (row for _, row in sorted(found, key=lambda pair: pair[0]))


def _walk(ds: Dataset, above: Where = (), frame: int = 0) -> Iterator[tuple[Where, DataElement]]:
    """Every attribute at every depth: of several items the first, or the first of each purpose.

    Of items for each frame it is that of the frame named. Codes are not walked into: they are values.
    """
    for element in ds:
        yield (*above, (int(element.tag), "")), element
        if element.VR != "SQ" or element.keyword in _DEEP:
            continue
        seen = set()
        per_frame = element.keyword == "PerFrameFunctionalGroupsSequence"
        for item in [element.value[frame]] if per_frame else element.value:
            purpose = item.get("PurposeOfReferenceCodeSequence") or [Dataset()]
            name = str(purpose[0].get("CodeValue", "1"))
            if name not in seen and "CodeValue" not in item:
                yield from _walk(item, (*above, (int(element.tag), name)))
            seen.add(name)


def _modules(sop_class: UID) -> list[tuple[str, Mapping[tuple[str, ...], str]]]:
    """Name of each module of a SOP class, and the type of each attribute in it by its keywords."""
    tables = get_module_attribute_map()
    found: list[tuple[str, Mapping[tuple[str, ...], str]]] = []
    for module in get_iod_module_map()[get_sop_class_iod_map()[sop_class]]:
        types = {(*line["path"], line["keyword"]): line["type"] for line in tables[module["key"]]}
        words = module["key"].split("-")
        name = " ".join(word.upper() if word in _SHORT else word.capitalize() for word in words)
        found.append((name, types))
    return found


def _place(
    where: Where, modules: Sequence[tuple[str, Mapping[tuple[str, ...], str]]]
) -> tuple[tuple[int, Where], str, str]:
    """Where a line stands in the table, its module and its type; those of the root sequence for deep ones."""
    keywords = tuple(keyword_for_tag(tag) for tag, _ in where)
    for k, (name, types) in enumerate(modules):
        if keywords in types:
            return (k, where), name, types[keywords]
    for k, (name, types) in enumerate(modules):
        if keywords[:1] in types:
            return (k, where), name, ""
    return (len(modules), where), "extended", "3"


def _values(ds: Dataset) -> dict[str, set[str]]:
    """Keywords of a source by their values."""
    found: dict[str, set[str]] = {}
    for element in ds:
        found.setdefault(_text(element), set()).add(element.keyword)
    return found


def _origin(element: DataElement, values: list[str | None], known: list[dict[str, set[str]]]) -> str:
    """Where a value comes from, as far as the sources can tell."""
    full = [(value, of) for value, of in zip(values[:2], known[:2], strict=True) if value is not None]
    said = {value for value, _ in full}
    if element.keyword == "PixelData" or said == {__version__}:
        return "AUTO"
    if said == {""}:
        return ""
    alike = set.intersection(*(of.get(value, set()) for value, of in full))
    origin = ""
    if element.keyword in alike and (len(said) > 1 or len(full) == 1):
        origin = "SRC"
    elif alike and len(said) > 1:
        origin = f"SRC {sorted(alike)[0]}"
    elif len(said) == 1 and len(full) == 2:
        return "FIXED"
    if not origin:
        return "AUTO"
    made_up = values[2] and element.keyword not in known[2].get(values[2], set()) and origin == "SRC"
    return f"{origin}, else AUTO" if made_up else origin


def _presence(element: DataElement, bare: DataElement | None) -> str:
    """ALWAYS, VNAP, ANAP or EMPTY."""
    if bare is None:
        return "ANAP"
    if element.is_empty:
        return "EMPTY"
    return "VNAP" if bare.is_empty else "ALWAYS"


def _text(element: DataElement) -> str:
    """A value as text; that of a code with its scheme and meaning, of other sequences and of pixels none."""
    if element.VR == "SQ":
        return "; ".join(_code(item) for item in element.value if "CodeValue" in item)
    if element.VR in ("OB", "OW") or element.is_empty:
        return ""
    values = element.value if element.VM > 1 else [element.value]
    if element.VR in ("DS", "IS"):
        return "\\".join(f"{float(value):.10g}" for value in values)
    return "\\".join(map(str, values))


def _codes(ds: Dataset) -> Iterator[tuple[str, str]]:
    """Every code at every depth, and the name of its sequence."""
    for element in ds:
        for item in element.value if element.VR == "SQ" else ():
            if "CodeValue" in item:
                yield _code(item), element.name
            yield from _codes(item)


def _code(item: Dataset) -> str:
    return f"({item.CodeValue}, {item.CodingSchemeDesignator}, {item.CodeMeaning})"


def _shown(value: str) -> str:
    """A value in a cell."""
    short = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    return "`" + short.replace("|", "\\|") + "`"


def _path(where: Where) -> str:
    """Names of an attribute and of the sequences above it."""
    *above, (last, _) = where
    steps = [dictionary_description(tag) + (f" ({name})" if name != "1" else "") for tag, name in above]
    return " > ".join([*steps, dictionary_description(last)])
