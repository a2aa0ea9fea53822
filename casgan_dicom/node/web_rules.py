"""Which settings of what listens for HTTP make sense together. Pure; single values: ``values.py``."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.settings import PageSettings, WebSettings

WebFault = tuple[str, tuple[str, ...]]
"""What is wrong (which key, what was found, what was wanted), and every key that the rule looked at."""


def web_faults(at: str, web: WebSettings | PageSettings) -> Iterator[WebFault]:
    """Everything that makes no sense together in a table; `at` is its name."""
    if web.max_connections_per_address > web.max_connections:
        keys = f"{at}.max_connections_per_address", f"{at}.max_connections"
        found = f"{keys[0]} is {web.max_connections_per_address}"
        yield f"{found}, want at most {keys[1]} ({web.max_connections})", keys
    yield from _of_tls(at, web)
    if web.port and not is_loopback(web.host):
        yield from _of_others(at, web)


def _of_tls(at: str, web: WebSettings | PageSettings) -> Iterator[WebFault]:
    certificate, key, authorities = (f"{at}.tls_{each}" for each in ("certificate", "key", "authorities"))
    if bool(web.tls_certificate) != bool(web.tls_key):
        there, missing = (certificate, key) if web.tls_certificate else (key, certificate)
        yield f"{missing} is '', want a file: {there} is set", (missing, there)
    elif web.tls_authorities and not web.tls_certificate:
        yield f"{certificate} is '', want a file: {authorities} is set", (certificate, authorities)


def _of_others(at: str, web: WebSettings | PageSettings) -> Iterator[WebFault]:
    """What is to be where others than this machine can ask: nobody comes in by an address alone."""
    if not web.tls_certificate and not web.unencrypted:
        keys = f"{at}.host", f"{at}.tls_certificate", f"{at}.unencrypted"
        wanted = f"a loopback address, or {keys[1]} with it, or {keys[2]} = true"
        yield f"{keys[0]} is {web.host!r}, want {wanted}", keys
    if not web.tokens_file:
        keys = f"{at}.host", f"{at}.tokens_file", f"{at}.port"
        wanted = f"a loopback address, or {keys[1]} that says who may come in from elsewhere"
        yield f"{keys[0]} is {web.host!r}, want {wanted}", keys
