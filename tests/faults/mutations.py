"""Sessions of a peer, right and then made wrong, the same for the same seed."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import suppress

from tests.faults.senders import Template
from tests.node.secure import Door
from tests.node.wire import (
    ABORT,
    DATA,
    ECHO_CONTEXT,
    RELEASE_RQ,
    XA,
    XA_CONTEXT,
    associate_rq,
    echo_command,
    p_data,
    pdu,
    store_command,
)

PATIENCE_SECONDS = 0.02
"""How long a mutated session waits for an answer before it goes on or away."""


def session(template: Template, chance: random.Random) -> list[bytes]:
    """PDUs of a legal session: association, echo, an instance in pieces, release."""
    length = chance.choice([10, 40_000])
    sop_uid, content = template.instance(chance.randrange(5), chance.randrange(1000), length)
    piece = chance.choice([500, 16_000, 131_066])
    store = [p_data(XA_CONTEXT, 3, store_command(XA, sop_uid))]
    for at in range(0, len(content), piece):
        store.append(p_data(XA_CONTEXT, 2 * (at + piece >= len(content)), content[at : at + piece]))
    echo = p_data(ECHO_CONTEXT, 3, echo_command())
    return [associate_rq(), echo, *store, pdu(RELEASE_RQ, bytes(4))]


def mutated(pdus: list[bytes], chance: random.Random) -> list[bytes]:
    """A session that is wrong in one to three places; sometimes its association is left as it is."""
    pdus = list(pdus)
    first = chance.choice([0, 1, 1])
    for _ in range(chance.randint(1, 3)):
        chance.choice(_MUTATIONS)(pdus, chance.randrange(min(first, len(pdus) - 1), len(pdus)), chance)
    return pdus


def play(door: Door, pdus: list[bytes], chance: random.Random, source: str) -> None:
    """Send a session, mostly without waiting for answers, and leave in one of several ways."""
    with suppress(OSError), door.wire(source=source, seconds=10) as wire:
        wire.socket.settimeout(PATIENCE_SECONDS)
        for number, each in enumerate(pdus):
            wire.send(each)
            if number == 0 or chance.random() < 0.2:
                with suppress(TimeoutError):
                    wire.socket.recv(65536)
        leave = chance.choice(["close", "reset", "half", "wait"])
        if leave == "reset":
            wire.reset()
        elif leave == "half":
            wire.socket.shutdown(socket.SHUT_WR)
        if leave in ("half", "wait"):
            wire.socket.recv(65536)


def _flip(pdus: list[bytes], k: int, chance: random.Random) -> None:
    """Other bytes, mostly near the beginning, where the lengths are."""
    content = bytearray(pdus[k])
    for _ in range(chance.randint(1, 8)):
        if content:
            at = chance.randrange(min(len(content), chance.choice([8, 80, 300, len(content)])))
            content[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    pdus[k] = bytes(content)


def _cut(pdus: list[bytes], k: int, chance: random.Random) -> None:
    pdus[k] = pdus[k][: chance.randrange(len(pdus[k]) + 1)]


def _insert(pdus: list[bytes], k: int, chance: random.Random) -> None:
    at = chance.randrange(len(pdus[k]) + 1)
    pdus[k] = pdus[k][:at] + chance.randbytes(chance.choice([1, 2, 100, 5000])) + pdus[k][at:]


def _lengthen(pdus: list[bytes], k: int, chance: random.Random) -> None:
    """Another length of the PDU, or of its first fragment."""
    at, value = chance.choice([2, 6]), chance.choice([0, 1, 5, 2**16, 2**17 + 7, 2**31, 2**32 - 1])
    if len(pdus[k]) >= at + 4:
        pdus[k] = pdus[k][:at] + struct.pack(">I", value) + pdus[k][at + 4 :]


def _shuffle(pdus: list[bytes], k: int, chance: random.Random) -> None:
    pdus.insert(chance.randrange(len(pdus)), pdus.pop(k))


def _repeat(pdus: list[bytes], k: int, chance: random.Random) -> None:
    pdus[k:k] = [pdus[k]] * chance.choice([1, 2, 40])


def _replace(pdus: list[bytes], k: int, chance: random.Random) -> None:
    kind = chance.choice([0, 1, 2, 3, DATA, 5, 6, ABORT, 8, 255])
    pdus[k] = pdu(kind, chance.randbytes(chance.choice([0, 4, 68, 2000])))


def _fragment(pdus: list[bytes], k: int, chance: random.Random) -> None:
    """Fragments with any context and any control byte, one after the other in a PDU."""
    pieces = b""
    for _ in range(chance.choice([1, 3, 500])):
        data = chance.randbytes(chance.choice([0, 1, 2, 30]))
        pieces += struct.pack(">IB", len(data) + 1, chance.choice([1, 3, 5, 99])) + data
    pdus[k] = pdu(DATA, pieces)


def _delete(pdus: list[bytes], k: int, chance: random.Random) -> None:
    if len(pdus) > 1:
        del pdus[k]


_MUTATIONS = (_flip, _flip, _flip, _cut, _insert, _lengthen, _shuffle, _repeat, _replace, _fragment, _delete)
