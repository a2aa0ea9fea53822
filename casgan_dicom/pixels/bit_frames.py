"""Frames of one bit, as segmentations store them: the first pixel lowest, and no frame begins at a byte.

PS3.5 8.1.1. At most one frame is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.pixel_data import UNDEFINED_LENGTH, instance_error, pixel_element
from casgan_dicom.source.cine import Cine, Instance


def iter_bit_frames(cine: Cine) -> Iterator[npt.NDArray[np.uint8]]:
    """Read the frames of a cine of one bit, in order: 0 or 1, uint8 (rows, columns).

    Raises PixelError where there are fewer bits than frames, or these are compressed.
    """
    for instance in cine.instances:
        try:
            yield from _frames_of(instance, cine)
        except PixelError:
            raise
        except Exception as error:  # a parser fed with garbage raises anything
            raise instance_error(instance, f"cannot be read ({type(error).__name__})") from error


def _frames_of(instance: Instance, cine: Cine) -> Iterator[npt.NDArray[np.uint8]]:
    pixels = cine.rows * cine.columns
    with instance.path.open("rb") as file:
        element = pixel_element(file, instance)
        wanted = (instance.frames * pixels + 7) // 8
        if element.length == UNDEFINED_LENGTH:
            raise instance_error(instance, "PixelData (7FE0,0010) of one bit is compressed, need it plain")
        if element.length < wanted:
            found = f"{element.length} bytes, {wanted} are wanted"
            raise instance_error(instance, f"PixelData (7FE0,0010) holds {found}")
        for k in range(instance.frames):
            first = k * pixels
            file.seek(element.start + first // 8)
            packed = file.read((first % 8 + pixels + 7) // 8)
            bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
            frame = bits[first % 8 : first % 8 + pixels]
            if frame.size < pixels:
                raise instance_error(instance, f"PixelData (7FE0,0010) is cut short in frame {k + 1}")
            yield frame.reshape(cine.rows, cine.columns)
