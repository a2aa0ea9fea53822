"""Which objects a conversion gives, one after the other, in the form that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from pydicom.dataset import Dataset

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.output_folder import Named
from casgan_dicom.conversion.synthesize import Synthesized
from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.picture import MapCine, SyntheticCine, SyntheticFrame
from casgan_dicom.derived.quality_record import QualityRecord
from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.segmentation import VesselSegmentation
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter
from casgan_dicom.pixels.stored import single_frame, stored_pixels

NewSpool = Callable[[], BinaryIO]
"""Gives an empty file, open until the objects are written."""


def objects_of(
    derivation: Derivation, made: Synthesized, options: ConvertOptions, new_spool: NewSpool
) -> Iterator[Named]:
    """Make the objects of one conversion.

    Parameters
    ----------
    derivation
        What was converted, and how.
    made
        The frames and what was measured on them.
    options
        What is wanted.
    new_spool
        Where encoded frames go.

    Yields
    ------
    Named
        The angiogram first: ``angiogram``, or ``frame`` for each of its frames; then ``attention``,
        ``vessels``, ``segmentation`` and ``quality-record`` as far as they are wanted. Each must be written
        before the next is asked for.
    """
    angiogram: list[Reference] = []

    def noted(make: Callable[[], Dataset]) -> Dataset:
        ds = make()
        angiogram.append(_reference(ds))
        return ds

    for named in _angiogram(derivation, made.frames, options, new_spool):
        yield Named(named.kind, partial(noted, named.make))
    if options.maps:
        yield from _maps(derivation, made, options, new_spool)
    if options.seg and made.vessels is not None:
        masks = derivation, made.vessels, angiogram, new_spool()
        yield Named("segmentation", partial(VesselSegmentation, *masks))
    if options.sr:
        yield Named("quality-record", partial(QualityRecord, derivation, made.quality, angiogram))


def _reference(ds: Dataset) -> Reference:
    frames = int(ds.get("NumberOfFrames") or 1)
    return Reference(str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID), frames)


def _angiogram(
    derivation: Derivation, frames: FrameFile, options: ConvertOptions, new_spool: NewSpool
) -> Iterator[Named]:
    if not options.single_frames:
        pixels = stored_pixels(frames, options.compression, new_spool())
        yield Named("angiogram", partial(SyntheticCine, derivation, pixels))
        return
    for k in range(frames.frames):
        pixels = single_frame(frames, k, options.compression)
        yield Named("frame", partial(SyntheticFrame, derivation, pixels, k))


def _maps(
    derivation: Derivation, made: Synthesized, options: ConvertOptions, new_spool: NewSpool
) -> Iterator[Named]:
    """The second series. A map that is compressed with loss would say something else: it never is."""
    lossless = options.compression if options.compression.lossy_method is None else Compression()
    for name, frames in (("attention", made.attention), ("vessels", made.vessels)):
        if frames is not None:
            provenance = derivation.provenance
            shown = _with_banner(frames, new_spool(), provenance.banner_texts) if options.banner else frames
            pixels = stored_pixels(shown, lossless, new_spool())
            yield Named(name, partial(MapCine, derivation, pixels, name))


def _with_banner(frames: FrameFile, spool: BinaryIO, texts: Callable[[int], tuple[str, ...]]) -> FrameFile:
    """A copy of frames with the banner in each: a map may be taken for a picture as well."""
    writer = FrameWriter(spool, frames.rows, frames.columns, frames.bits)
    for k in range(frames.frames):
        frame = frames.read(k).copy()
        banner_for(frames.rows, frames.columns, texts(k)).burn(frame, 2**frames.bits - 1)
        writer.write(frame)
    return writer.finish()
