"""hashes.txt as it is made of what pip reports."""

from __future__ import annotations

from tests.support.package_hashes import hashes_page


def test_every_file_but_torch_and_this_project_has_its_digest() -> None:
    def file(name: str, digest: str = "") -> dict[str, object]:
        archive = {"archive_info": {"hashes": {"sha256": digest}}} if digest else {"dir_info": {}}
        return {"metadata": {"name": name, "version": "1.2"}, "download_info": {"url": "x", **archive}}

    page = hashes_page([file("Zope_Z", "aa"), file("casgan-dicom"), file("torch", "bb"), file("abc", "cc")])

    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert lines == ["abc==1.2 --hash=sha256:cc", "zope-z==1.2 --hash=sha256:aa"]
