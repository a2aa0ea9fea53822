"""Who says what stands in a document: the program, or a person by name (PS3.16 TID 1002)."""

from __future__ import annotations

from highdicom.sr import (
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
)
from pydicom.sr.codedict import codes

from casgan_dicom import __version__
from casgan_dicom.derived.marks import MANUFACTURER
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID


def program_observer() -> ObserverContext:
    """This program, TID 1004."""
    return ObserverContext(
        observer_type=CodedConcept.from_code(codes.DCM.Device),
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=IMPLEMENTATION_CLASS_UID,
            name=f"{MANUFACTURER} {__version__}",
            manufacturer_name=MANUFACTURER,
        ),
    )


def person_observer(name: str) -> ObserverContext:
    """A person, TID 1003; `name` is one component of a PN, and is written as its first.

    The caret behind it says that there is no more: without one, validators take it for an old form of names.
    """
    return ObserverContext(
        observer_type=CodedConcept.from_code(codes.DCM.Person),
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=f"{name}^"),
    )
