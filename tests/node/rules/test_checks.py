"""Which rules are refused when a configuration is read; each message names the rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.checks import load_node_settings

DESTINATIONS = "".join(
    f'[[destinations]]\nname = "{name}"\nhost = "pacs.example"\nport = 104\nae_title = "PACS"\n'
    for name in ("archive-a", "archive-b")
)


def load(folder: Path, *rules: str) -> None:
    path = folder / "node.toml"
    path.write_text(
        DESTINATIONS + "".join(f'[[rules]]\nname = "r{k}"\n{rule}\n' for k, rule in enumerate(rules))
    )
    load_node_settings(path, {})


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "convert = false",
        'destinations = ["archive-b", "archive-a"]',
        "destinations = []",
        'header = ["Modality = XA", "Rows >= 512"]\nprimary_angle = [-45, 45]\nsecondary_angle = [0.5, 0.5]',
        'calling_ae = ["CATH*"]\naddress = ["10.1.0.0/16", "fe80::1"]\nkind = ["cine", "steady"]',
        'opacified = "no"\nscore_from = 0\nscore_below = 1',
        'bits = 12\ncompression = "jpegls"\nframes = "non-contrast"\nsingle_frame = true',
        'compression = "jpeg75"\npriority = "urgent"\nmode = "reference"\nbundle = "casgan"',
    ],
)
def test_rules_that_make_sense_are_taken(tmp_path: Path, rule: str) -> None:
    load(tmp_path, rule)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            'header = ["Modalty = XA"]',
            "rules#2.header of rule 'r1': condition 'Modalty = XA': 'Modalty' is no keyword",
        ),
        ('header = ["Rows = 5", "PixelData present"]', "condition 'PixelData present'"),
        ('destinations = ["archive-c"]', "no destination is called 'archive-c', known: archive-a, archive-b"),
        ("bits = 10", "rules#2.bits of rule 'r1': bits is 10, want 8, 12 or 16"),
        ('bits = 12\ncompression = "jpeg90"', "rule 'r1': compression jpeg stores 8 bits, found 12"),
        ('compression = "jpeg"', "compression jpeg needs a quality of 1 to 100"),
        ('compression = "j2k90"', "compression j2k has no quality"),
        ('compression = "zip"', "compression is 'zip', want none"),
        ('frames = "5-2"', "rules#2.frames of rule 'r1': frames are '5-2'"),
        ("primary_angle = [45, -45]", "found 45 to -45, want two of -180 to 180, the smaller first"),
        ("secondary_angle = [0, 200]", "rules#2.secondary_angle of rule 'r1'"),
        ("score_from = 1\nscore_below = 1", "want more than score_from (1)"),
        ('convert = false\ndestinations = ["archive-a"]', "rules#2.destinations of rule 'r1': found beside"),
        ('convert = false\nbundle = "casgan"', "rules#2.bundle of rule 'r1': found beside convert = false"),
        ('kind = ["movie"]', "rules#2.kind is ('movie',), want of image, cine"),
        ('opacified = "perhaps"', "rules#2.opacified is 'perhaps', want one of yes, no"),
        ('address = ["lab"]', "rules#2.address is ('lab',), want an IP address"),
        ('calling_ae = ["A TITLE THAT IS TOO LONG"]', "rules#2.calling_ae"),
        ('priority = "soon"', "rules#2.priority is 'soon', want one of urgent, routine, batch"),
        ('mode = "draw"', "rules#2.mode is 'draw', want one of invent, reference"),
        ("banner = false", "unknown key 'rules#2.banner'"),
        ("primary_angle = [1, 2, 3]", "want 2 numbers"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named_with_what_is_wrong(tmp_path: Path, rule: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "", rule)

    assert said in caught.value.message
    assert "node.toml: " in caught.value.message


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[[rules]]\nname = "same"\n[[rules]]\nname = "same"\n')

    with pytest.raises(
        ConfigError, match=r"rules#2\.name is .same., want no name twice: rules#1\.name is it too"
    ):
        load_node_settings(path, {})
