"""Whether frames were decoded rightly: two of a run are decoded by a second decoder, all are looked at.

The first frame and one other, drawn by Series Instance UID (0020,000E) and so always the same, go through
another decoder (second_decoder.py) and are compared value by value. A difference beyond what two right
decoders may show is an error. Frames of one value in the middle of a run, and frames that repeat the one
before while the run moves, are what lost data look like; they may be true, so they are said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from casgan_dicom.errors import PixelError, first_line
from casgan_dicom.pixels.decode import StoredFrame, values_of
from casgan_dicom.pixels.decoder_process import DecoderProcess
from casgan_dicom.pixels.layout import holds_fragments, stream_layout
from casgan_dicom.pixels.pixel_data import content_of
from casgan_dicom.pixels.second_decoder import Encoded, SecondDecoder, second_decoder
from casgan_dicom.pixels.stored_values import Clamped
from casgan_dicom.pixels.syntaxes import decoder_name, decoding
from casgan_dicom.source.cine import Cine, Instance

_NOT_COMPRESSED = "none needed: not compressed"
_NONE_KNOWN = "none known"


@dataclass(frozen=True)
class Decoding:
    """How the frames of a source were decoded, and what was found of them."""

    decoder: str
    """Who decoded."""
    second_decoder: str
    """Who decoded some frames once more, or why nobody did."""
    compared: tuple[int, ...]
    """Numbers of the frames that both decoded, from 1."""
    largest_difference: int | None
    """Between both, in levels; None where nothing was compared."""
    pixel_sha256: str
    """Hex digest of the stored values of all frames, in order, in little endian words of Bits Allocated."""
    constant: tuple[int, ...] = ()
    """Frames of one value between others, from 0."""
    repeated: tuple[int, ...] = ()
    """Frames that equal the one before in a run that moves, from 0."""
    refused: tuple[str, ...] = ()
    """What the second decoder said of streams that it does not decode."""

    def clause(self) -> str:
        """What a quality record says of it."""
        second = self.second_decoder
        if self.compared:
            numbers = " and ".join(map(str, self.compared))
            second = f"{second}, frames {numbers}, largest difference {self.largest_difference}"
        return f"source decoded by {self.decoder}; second decoder {second}; values sha256 {self.pixel_sha256}"


class SelfCheck:
    """Looks at all frames of a cine as they pass by.

    Parameters
    ----------
    cine
        The cine; the files of the frames that are compared are opened once more.
    """

    def __init__(self, cine: Cine) -> None:
        self._cine = cine
        self._digest = hashlib.sha256()
        self._constant: list[int] = []
        self._repeated: list[int] = []
        self._frames = 0
        self._decoders: list[str] = []
        self._seconds: list[str] = []
        self._comparisons: list[Future[_Comparison]] = []

    def passing(self, frames: Iterable[StoredFrame]) -> Iterator[StoredFrame]:
        """Hand on every frame, (rows, columns), unchanged; comparisons go on beside whoever takes them."""
        wanted = frames_to_compare(self._cine.series_uid, self._cine.frames)
        before: StoredFrame | None = None
        gdcm, beside = DecoderProcess(), ThreadPoolExecutor(max_workers=1)
        try:
            for k, frame in enumerate(frames):
                self._look_at(k, frame, before)
                job = self._job(k, frame) if k in wanted else None
                if job is not None:
                    self._comparisons.append(beside.submit(_compare, job, gdcm))
                before = frame
                yield frame
        finally:
            beside.submit(gdcm.__exit__)
            beside.shutdown(wait=False)

    def result(self) -> Decoding:
        """What was found, once all frames have passed.

        Raises
        ------
        PixelError
            A second decoder gives other values than those that passed.
        """
        done = [one.result() for one in self._comparisons]
        differences = [one.difference for one in done if one.difference is not None]
        moves = 2 * len(self._repeated) < self._frames - 1
        return Decoding(
            decoder="; ".join(dict.fromkeys(self._decoders)),
            second_decoder="; ".join(dict.fromkeys([*self._seconds, *(one.name for one in done)])),
            compared=tuple(one.frame for one in done if one.difference is not None),
            largest_difference=max(differences, default=None),
            pixel_sha256=self._digest.hexdigest(),
            constant=_between_others(self._constant, self._frames),
            repeated=tuple(k for k in self._repeated if k not in self._constant) if moves else (),
            refused=tuple(one.refusal for one in done if one.refusal),
        )

    def _look_at(self, k: int, frame: StoredFrame, before: StoredFrame | None) -> None:
        dtype = np.dtype(f"<{frame.dtype.kind}{int(self._cine.header.BitsAllocated) // 8}")
        self._digest.update(np.ascontiguousarray(frame, dtype=dtype).data)
        self._frames = k + 1
        if bool((frame == frame[0, 0]).all()):
            self._constant.append(k)
        if before is not None and np.array_equal(frame, before):
            self._repeated.append(k)

    def _job(self, k: int, frame: StoredFrame) -> _Job | None:
        """What a second decoder has to do for frame `k`; None where there is nothing to do, or nobody."""
        cine = self._cine
        instance, ds, within = _place(cine, k)
        if not holds_fragments(instance):
            self._decoders.append(decoder_name(instance.transfer_syntax))
            self._seconds.append(_NOT_COMPRESSED)
            return None
        encoded = _encoded(cine, instance, ds, within)
        who = decoding(encoded.syntax, encoded.header)[0]
        self._decoders.append(who.name)
        if who.way == "fragments":
            self._seconds.append(_NOT_COMPRESSED)
            return None
        second = second_decoder(encoded.syntax, encoded.header)
        if second is None or not second.installed:
            none = _NONE_KNOWN if second is None else f"none installed ({second.package} would be one)"
            self._seconds.append(none)
            return None
        return _Job(cine, instance, k, frame, encoded, who.name, second)


@dataclass(frozen=True, eq=False)
class _Job:
    """One frame to decode once more."""

    cine: Cine
    instance: Instance
    k: int
    """Its place in the cine, from 0."""
    frame: StoredFrame
    """What the first decoder made of it."""
    encoded: Encoded
    first: str
    """Name of the first decoder."""
    second: SecondDecoder


@dataclass(frozen=True)
class _Comparison:
    """What came of it."""

    frame: int
    """Number of the frame, from 1."""
    name: str
    """What the report calls the second decoder."""
    difference: int | None = None
    """Between both, in levels; None where it refused."""
    refusal: str = ""


def _compare(job: _Job, gdcm: DecoderProcess) -> _Comparison:
    """Decode a frame once more; PixelError if it comes out otherwise."""
    second, number = job.second, job.k + 1
    try:
        words = second.decode(job.encoded, gdcm)
        values = values_of(words, job.encoded.header, job.instance, job.cine, Clamped())
    except Exception as error:  # another decoder takes other streams: that says nothing of the values
        refusal = f"frame {number} could not be compared: {second.name} says '{first_line(error)}'"
        return _Comparison(number, f"{second.name}, which refused", refusal=refusal)
    difference = _difference(job.frame, values)
    if difference > second.tolerance:
        raise PixelError(
            f"instance {job.instance.sop_instance_uid}: {job.first} and {second.name} decode frame {number} "
            f"differently, by up to {difference} levels, {second.tolerance} are allowed",
            hint="one decoder is wrong, or the stream is damaged: nobody can tell which values are true",
        )
    return _Comparison(number, second.name, difference)


def frames_to_compare(series_uid: str, frames: int) -> frozenset[int]:
    """The first frame and one other, from 0; drawn by the series, so that every run compares the same."""
    if frames < 2:
        return frozenset({0})
    drawn = int.from_bytes(hashlib.sha256(series_uid.encode()).digest()[:8])
    return frozenset({0, 1 + drawn % (frames - 1)})


def _place(cine: Cine, k: int) -> tuple[Instance, Dataset, int]:
    """The instance that holds frame `k` of a cine, its header, and the frame's place in there."""
    for instance, ds in zip(cine.instances, cine.headers, strict=True):
        if k < instance.frames:
            return instance, ds, k
        k -= instance.frames
    raise IndexError(f"no frame {k}")


def _encoded(cine: Cine, instance: Instance, ds: Dataset, k: int) -> Encoded:
    """Frame `k` of an instance, whose header is `ds`, as it lies in the file."""
    fragments = stream_layout(instance, ds).frames[k]
    with instance.path.open("rb") as file:
        stream = content_of(file, fragments)
    return Encoded(
        stream=stream,
        header=fragments[0].header,
        syntax=instance.transfer_syntax,
        shape=(cine.rows, cine.columns),
        bits_allocated=int(cine.header.BitsAllocated),
    )


def _difference(frame: StoredFrame, values: StoredFrame) -> int:
    """Largest difference in levels; that of the whole range where the shapes differ."""
    if frame.shape != values.shape:
        return 2**16
    return int(np.abs(frame.astype(np.int64) - values.astype(np.int64)).max())


def _between_others(constant: list[int], frames: int) -> tuple[int, ...]:
    """Those of the constant frames that lie between others."""
    others = [k for k in range(frames) if k not in set(constant)]
    return tuple(k for k in constant if others and others[0] < k < others[-1])
