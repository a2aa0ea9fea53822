"""Which settings of who may come in make sense together: each rule broken once, and the keys it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.checks import load_node_settings

TLS = 'tls_certificate = "c"\ntls_key = "k"\ntls_authorities = "a"\n'
PEER = '[[peers]]\nae_title = "CT"\naddress = "10.0.0.1"\n'
PACS = '[[destinations]]\nname = "p"\nhost = "h"\nport = 104\nae_title = "P"\n'


def told(tmp_path: Path, text: str) -> str:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_node_settings(path, {})
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[listener]\ntls_certificate = "c"\ntls_authorities = "a"\n', "listener.tls_key is '', want a file"),
        ('[listener]\ntls_key = "k"\n', "listener.tls_certificate is '', want a file"),
        ('[listener]\ntls_authorities = "a"\n', "listener.tls_certificate is '', want a file"),
        (
            '[listener]\ntls_certificate = "c"\ntls_key = "k"\n',
            "listener.tls_authorities is '', want the file",
        ),
        ('[listener]\nae_titles = ["CASGAN"]\n', "want each title once"),
        ('[listener]\nae_titles = ["A", "A"]\n', "want each title once"),
        ('[listener]\nae_titles = ["A\\\\B"]\n', "listener.ae_titles"),
        (PEER + 'called_ae_titles = ["OTHER"]\n', "peers#1.called_ae_titles names OTHER"),
        (PEER + 'certificate_name = "DNS:ct"\n', "peers#1.certificate_name is set"),
        (PEER + f'certificate_sha256 = "{"ab" * 32}"\n', "peers#1.certificate_sha256 is set"),
        (f"[listener]\n{TLS}tls_asks = false\n{PEER}" + 'certificate_name = "DNS:ct"\n', "tls_asks = true"),
        (f"[listener]\n{TLS}{PEER}" + 'certificate_name = "ct"\n', "want DNS:name"),
        (f"[listener]\n{TLS}{PEER}" + 'certificate_name = "IP:ct"\n', "want DNS:name"),
        (f"[listener]\n{TLS}{PEER}" + 'certificate_sha256 = "ab"\n', "64 hexadecimal digits"),
        (PEER + "max_associations = 101\n", "at most listener.max_connections (100)"),
        (PEER + "max_instance_bytes = 5_000_000_000\n", "at most listener.max_instance_bytes"),
        (PEER + "max_bytes_per_second = 1000\n", "0, or at least 65536"),
        (PEER + "max_associations = -1\n", "at least 0"),
        (PACS + 'tls_authorities = "a"\n', "destinations#1.tls_authorities is set, want tls = true"),
        (PACS + 'tls_name = "n"\n', "destinations#1.tls_name is set, want tls = true"),
        (PACS + 'tls = true\ntls_certificate = "c"\n', "destinations#1.tls_key is '', want a file"),
        (PACS + 'tls = true\ntls_key = "k"\n', "destinations#1.tls_certificate is '', want a file"),
        (PACS + 'tls = true\ntls_name = ".n"\n', "an address or a name"),
        (
            '[listener]\nport = 104\nae_titles = ["P"]\n' + PACS.replace('"h"', '"127.0.0.1"'),
            "is this node's own listener",
        ),
    ],
)
def test_what_makes_no_sense_is_told_by_key(tmp_path: Path, text: str, wanted: str) -> None:
    assert wanted in told(tmp_path, text)


def test_all_of_it_together_can_make_sense(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(
        f'[listener]\nae_titles = ["CASGAN_CT"]\n{TLS}{PEER}called_ae_titles = ["CASGAN_CT"]\n'
        'certificate_name = "URI:urn:ct"\nmax_associations = 2\nmax_bytes_per_second = 10_000_000\n'
        f'max_instance_bytes = 1_000_000\n{PACS}tls = true\ntls_name = "pacs.example"\n'
    )

    settings = load_node_settings(path, {"CASGAN_NODE_LISTENER_TLS_KEY": "/run/key"})

    assert settings.listener.tls_key == "/run/key"
    assert settings.peers[0].called_ae_titles == ("CASGAN_CT",)
    assert settings.destinations[0].tls
