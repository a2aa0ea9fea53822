"""The atlas as it draws when nothing corrects it: by networks that any engine runs, so it needs no torch."""

from __future__ import annotations

from functools import partial

from casgan_dicom.model.atlas.library import Library
from casgan_dicom.model.atlas.planner import make_plan
from casgan_dicom.model.atlas.render import optical_depths
from casgan_dicom.model.methods.atlas_drawer import AtlasDrawer
from casgan_dicom.model.methods.atlas_reader import Reader, read_run

LIBRARY_NAME = "library.safetensors"
"""File of the trees in a bundle."""


def plain_drawer(reader: Reader, library: Library) -> AtlasDrawer[Library]:
    """Draw trees of a library as they are planned; the networks see a few frames of a run."""
    return AtlasDrawer(
        read_cues=partial(read_run, reader),
        make_plan=make_plan,
        optical_depths=optical_depths,
        library=library,
        name=reader.tip.name,
        device=reader.tip.device,
    )
