"""The table of carried elements is the standard's, as highdicom lists it."""

from __future__ import annotations

from highdicom._standard_utils import get_module_attribute_map
from highdicom.base import SOPClass
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import XRayAngiographicImageStorage

from casgan_dicom.derived.module_elements import MODULE_ELEMENTS
from tests.support.factories import uid


def test_elements_are_those_of_the_modules() -> None:
    table = get_module_attribute_map()

    for module, keywords in MODULE_ELEMENTS.items():
        root = [str(line["keyword"]) for line in table[module] if not line["path"]]
        assert set(keywords) == set(root)
        assert len(keywords) == len(set(keywords))


def test_highdicom_copies_these_and_no_others_from_an_angiogram() -> None:
    source = Dataset()
    for module in get_module_attribute_map().values():
        for keyword in {str(line["keyword"]) for line in module if not line["path"]}:
            if (tag := tag_for_keyword(keyword)) is not None and dictionary_VR(tag) != "SQ":
                source.add_new(tag, dictionary_VR(tag).split()[0], None)
    source.SOPClassUID, source.SOPInstanceUID = XRayAngiographicImageStorage, uid("source")
    made = SOPClass.__new__(SOPClass)
    Dataset.__init__(made)

    made.copy_patient_and_study_information(source)

    ours = {word for words in MODULE_ELEMENTS.values() for word in words}
    assert {one.keyword for one in made} == {one.keyword for one in source if one.keyword in ours}
