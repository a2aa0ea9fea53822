"""Whether a JPEG 2000 stream with the reversible wavelet was cut off: all bit planes are there, or not.

Such a stream is lossless if all coding passes of all code-blocks are in it; many encoders make a lossy one by
leaving out the last of them. How many are there stands in the packet headers (ITU-T T.800 B.10); the coded
data are passed over. Read is what medical images are: one component in one tile, precincts of the whole
resolution, code-blocks that end once. Of another stream nothing is said.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_SOD, _SOT, _EOC = 0x93, 0x90, 0xD9
_SIZ, _COD, _QCD = 0x51, 0x52, 0x5C
_HARMLESS = (_SIZ, _COD, _QCD, 0x64, 0x55, 0x57, 0x58, 0x63)
"""Segments of headers that are known or change nothing: SIZ, COD, QCD, COM, TLM, PLM, PLT, CRG."""
_PASSES = 3
"""Coding passes of a bit plane."""
_LARGE = 256
"""Samples that have no empty plane between them."""
_MANY = 999
"""A value of a tag tree that is not known yet."""


class _OtherStreamError(Exception):
    """The stream is of a form that is not read here, or damaged."""


def is_cut_off(stream: bytes) -> bool | None:
    """Say whether coding passes are left out.

    Parameters
    ----------
    stream
        A whole codestream, padding behind it allowed.

    Returns
    -------
    bool or None
        None where that cannot be told.
    """
    try:
        main, data = _parts(stream)
        return _any_left_out(_Form.read(main), data)
    except (_OtherStreamError, KeyError, ValueError, IndexError, struct.error):
        return None


@dataclass(frozen=True)
class _Form:
    """What the main header says."""

    width: int
    height: int
    by_layer: bool
    """Whether packets come layer by layer; else resolution by resolution."""
    layers: int
    levels: int
    block: tuple[int, int]
    """Exponents of the width and height of code-blocks."""
    planes: tuple[int, ...]
    """Most bit planes of each sub-band, E-2: LL, then HL, LH, HH of each resolution."""

    @classmethod
    def read(cls, main: dict[int, bytes]) -> _Form:
        """Read it; _OtherStreamError for a form that is not read here."""
        siz, cod, qcd = main[_SIZ], main[_COD], main[_QCD]
        width, height, left, top, tile_w, tile_h, tile_x, tile_y, count = struct.unpack(">8IH", siz[2:36])
        scod, order, layers, _, levels, x, y, style, wavelet = struct.unpack(">2BH6B", cod[:10])
        guard, quantised = qcd[0] >> 5, qcd[0] & 0x1F
        whole = (left, top, tile_x, tile_y) == (0, 0, 0, 0) and tile_w >= width and tile_h >= height
        plain = not scod & 1 and not style & ~0x3A and wavelet == 1 and not quantised
        if not (whole and plain and count == 1 and len(qcd) - 1 >= 3 * levels + 1):
            raise _OtherStreamError
        planes = tuple(guard + (value >> 3) - 1 for value in qcd[1:])
        return cls(width, height, order == 0, layers, levels, (x + 2, y + 2), planes)


def _parts(stream: bytes) -> tuple[dict[int, bytes], bytes]:
    """Segments of the main header, and the packets of all tile-parts together."""
    main: dict[int, bytes] = {}
    data, at = b"", 2
    while stream[at + 1] != _EOC:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4])
        if marker != _SOT:
            if marker not in _HARMLESS or stream[at] != 0xFF:
                raise _OtherStreamError
            main[marker] = stream[at + 4 : at + 2 + length]
            at += 2 + length
            continue
        size = struct.unpack(">I", stream[at + 6 : at + 10])[0]
        end = at + size if size else stream.rindex(b"\xff\xd9")
        data += _packets(stream[at + 2 + length : end])
        at = end
    return main, data


def _packets(part: bytes) -> bytes:
    """Packets of one tile-part, behind its header."""
    at = 0
    while part[at + 1] != _SOD:
        if part[at] != 0xFF or part[at + 1] not in _HARMLESS or part[at + 1] in (_COD, _QCD):
            raise _OtherStreamError
        at += 2 + int.from_bytes(part[at + 2 : at + 4])
    return part[at + 2 :]


@dataclass
class _Block:
    """One code-block."""

    samples: int
    passes: int = 0
    zero_planes: int = 0
    length_bits: int = 3


@dataclass
class _Band:
    """The code-blocks of one sub-band."""

    width: int
    height: int
    block: tuple[int, int]
    planes: int
    columns: int = field(init=False)
    blocks: list[_Block] = field(init=False)
    included: _TagTree = field(init=False)
    zeros: _TagTree = field(init=False)

    def __post_init__(self) -> None:
        widths, heights = _parts_of(self.width, self.block[0]), _parts_of(self.height, self.block[1])
        self.columns = len(widths)
        self.blocks = [_Block(w * h) for h in heights for w in widths]
        self.included, self.zeros = (_TagTree(len(widths), len(heights)) for _ in range(2))

    def left_out(self) -> Iterator[tuple[int, int]]:
        """Samples of each block, and the passes that it lacks: a plane takes three, but the highest one."""
        for block in self.blocks:
            if block.passes:
                yield block.samples, 3 * (self.planes - block.zero_planes) - 2 - block.passes


class _TagTree:
    """B.10.2: the least of four neighbours stands one level higher."""

    def __init__(self, columns: int, rows: int) -> None:
        self._levels: list[tuple[int, list[list[int]]]] = []
        while columns and rows:
            self._levels.append((columns, [[_MANY, 0] for _ in range(columns * rows)]))
            if columns == rows == 1:
                break
            columns, rows = (columns + 1) // 2, (rows + 1) // 2

    def below(self, column: int, row: int, threshold: int, bits: _Bits) -> bool:
        """Whether the value of a leaf is below a threshold; reads no more than that takes."""
        low, value = 0, _MANY
        for depth in range(len(self._levels) - 1, -1, -1):
            width, nodes = self._levels[depth]
            node = nodes[(row >> depth) * width + (column >> depth)]
            low = max(low, node[1])
            while low < threshold and low < node[0]:
                if bits.read(1):
                    node[0] = low
                else:
                    low += 1
            node[1], value = low, node[0]
        return value < threshold


class _Bits:
    """Bits of a packet header, B.10.1: behind a byte of ones stands a bit of stuffing."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self._left, self._byte = 0, 0

    def read(self, count: int) -> int:
        value = 0
        for _ in range(count):
            if not self._left:
                self._left = 7 if self._byte == 0xFF else 8
                self._byte = self.data[self.at]
                self.at += 1
            self._left -= 1
            value = value << 1 | self._byte >> self._left & 1
        return value

    def end(self) -> int:
        """Where the data behind the header begin."""
        return self.at + (self._byte == 0xFF)

    def passes(self) -> int:
        """Number of coding passes, table B.4."""
        for width, first in ((1, 1), (1, 2), (2, 3), (5, 6)):
            value = self.read(width)
            if value != 2**width - 1:
                return first + value
        return 37 + self.read(7)


def _any_left_out(form: _Form, data: bytes) -> bool | None:
    """Go through all packets; _OtherStreamError where they do not end with the data.

    An encoder leaves out passes also where they add nothing: the last of the lowest plane, or those of a
    plane of zeros in a few samples. That says nothing; a plane of many samples is never empty.
    """
    resolutions = [_bands(form, r) for r in range(form.levels + 1)]
    at = 0
    for layer, r in _order(form):
        if at >= len(data):
            return True  # whole packets are missing
        at = _packet(resolutions[r], layer, data, at)
    if at != len(data):
        raise _OtherStreamError
    lacking = [block for bands in resolutions for band in bands for block in band.left_out() if block[1]]
    if sum(samples for samples, passes in lacking if passes >= _PASSES) >= _LARGE:
        return True
    return None if lacking else False


def _order(form: _Form) -> Iterator[tuple[int, int]]:
    """Layer and resolution of each packet, B.12; with one precinct in each resolution two orders differ."""
    layers, resolutions = range(form.layers), range(form.levels + 1)
    if form.by_layer:
        return ((layer, r) for layer in layers for r in resolutions)
    return ((layer, r) for r in resolutions for layer in layers)


def _bands(form: _Form, r: int) -> list[_Band]:
    """Sub-bands of a resolution with their code-blocks, B.5 and B.7."""
    depth = form.levels - r + (r > 0)
    shifts = ((1, 0), (0, 1), (1, 1)) if r else ((0, 0),)
    found = []
    for k, (x, y) in enumerate(shifts):
        half = 2**depth // 2
        width, height = (-(-(n - s * half) // 2**depth) for n, s in ((form.width, x), (form.height, y)))
        found.append(_Band(width, height, form.block, form.planes[3 * (r - 1) + 1 + k if r else 0]))
    return found


def _parts_of(size: int, exponent: int) -> list[int]:
    """A side of a sub-band, cut into those of its code-blocks."""
    return [min(2**exponent, size - at) for at in range(0, size, 2**exponent)]


def _packet(bands: list[_Band], layer: int, data: bytes, at: int) -> int:
    """Read one packet header, and say where the next packet begins."""
    if data[at : at + 2] == b"\xff\x91":  # SOP
        at += 6
    bits = _Bits(data, at)
    length = sum(_block_lengths(band, layer, bits) for band in bands) if bits.read(1) else 0
    at = bits.end()
    if data[at : at + 2] == b"\xff\x92":  # EPH
        at += 2
    return at + length


def _block_lengths(band: _Band, layer: int, bits: _Bits) -> int:
    """Bytes that a packet has for the code-blocks of a sub-band."""
    length = 0
    for k, block in enumerate(band.blocks):
        row, column = divmod(k, band.columns)
        first = not block.passes
        if not (band.included.below(column, row, layer + 1, bits) if first else bits.read(1)):
            continue
        if first:
            while not band.zeros.below(column, row, block.zero_planes + 1, bits):
                block.zero_planes += 1
        passes = bits.passes()
        while bits.read(1):
            block.length_bits += 1
        length += bits.read(block.length_bits + passes.bit_length() - 1)
        block.passes += passes
    return length
