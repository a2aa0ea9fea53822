"""Is this derived object honest? Every rule asked, and its source compared where there is one.

General validators see a wrong type or a missing mandatory attribute. They do not see a Secondary Capture
that calls itself ORIGINAL, says nothing of its synthetic content, or declares lossy pixels lossless; nor
whether its patient is that of the source. The rules do (``header_rules.py``, ``roadmap_rules.py``,
``review_rules.py``, ``pixel_rules.py``): they are the header that is written here, turned into questions;
``comparison.py`` looks at the source. Run dciodvfy (dicom3tools) as well.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydicom import dcmread
from pydicom.dataset import Dataset

from casgan_dicom.errors import OutputError
from casgan_dicom.pixels.decoder_process import decoder_process
from casgan_dicom.source.encoding import refuse_deflated
from casgan_dicom.source.inflate import InflateError
from casgan_dicom.source.paths import Paths, as_paths, files_below, refuse_unreachable
from casgan_dicom.verification.comparison import Finding, compare, source_headers
from casgan_dicom.verification.header_rules import HEADER_RULES
from casgan_dicom.verification.kinds import Rule, kind_of
from casgan_dicom.verification.pixel_rules import PIXEL_RULES
from casgan_dicom.verification.review_rules import REVIEW_RULES
from casgan_dicom.verification.roadmap_rules import ROADMAP_RULES

RULES: Mapping[str, Rule] = MappingProxyType({**HEADER_RULES, **ROADMAP_RULES, **REVIEW_RULES, **PIXEL_RULES})
"""Every rule by its name, in the order in which they are asked."""


def verify(paths: Paths, *, sources: Paths | None = None) -> dict[Path, list[Finding]]:
    """Check derived objects for what general validators do not see.

    Parameters
    ----------
    paths
        A file or folder, or several; of a folder, every file below it that ends in ``.dcm``.
    sources
        What the objects were made of, a file or folder, or several: patient, study and references are
        compared.

    Returns
    -------
    dict of Path to list of Finding
        Every file that was checked, with its faults: an empty list is an honest object.

    Raises
    ------
    ConfigError
        No path is given.
    OutputError
        There is no file to check.
    SeriesError
        A path is not there, or `sources` hold no DICOM file.
    """
    given = as_paths(paths)
    refuse_unreachable(given)
    headers = None if sources is None else source_headers(as_paths(sources))
    with decoder_process():  # one for all of them
        checked = {path: verify_file(path, headers) for path in _files(given)}
    if not checked:
        raise OutputError("no file to check", hint="pass files, or a folder with files that end in .dcm")
    return checked


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are, folders as the .dcm files in them; a folder may be called like a file."""
    for path in paths:
        if path.is_dir():
            yield from (one for one in files_below(path) if one.name.endswith(".dcm"))
        else:
            yield path


def verify_file(path: Path, sources: Mapping[str, Dataset] | None = None) -> list[Finding]:
    """Check one file against every rule.

    Parameters
    ----------
    path
        The file; its pixels are not held in memory.
    sources
        Headers of what it was made of, as `source_headers` reads them; None to leave the comparison out.

    Returns
    -------
    list of Finding
        One per fault, in the order of the rules; empty if there is none. A file that cannot be read as DICOM
        is a finding of the rule ``readable``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        try:
            refuse_deflated(path)
            ds = dcmread(path, defer_size="4 KB")
            return verify_dataset(ds) + ([] if sources is None else compare(ds, sources))
        except InflateError:
            return [Finding("readable", "the data set is deflated: nothing that is written here is")]
        except Exception as error:  # a parser fed with garbage raises anything
            return [Finding("readable", f"no readable DICOM file ({type(error).__name__})")]


def verify_dataset(ds: Dataset) -> list[Finding]:
    """Check a data set, its `file_meta` included, against every rule for its kind.

    A value that is no value of its type is a finding of the rule that needs it, and hides no other.
    """
    kind = kind_of(ds)
    asked = {name: rule for name, rule in RULES.items() if kind in rule.of}
    return [Finding(name, message) for name, rule in asked.items() for message in _answers(rule, ds)]


def _answers(rule: Rule, ds: Dataset) -> Iterator[str]:
    try:
        yield from rule.ask(ds)
    except Exception as error:  # values of a broken header may be anything, and so may what they raise
        yield f"cannot be judged, a value is malformed ({type(error).__name__})"
