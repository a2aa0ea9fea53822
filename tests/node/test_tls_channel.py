"""TLS apart from its socket, beside Python's own `SSLObject` at the other end, in any pieces."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from contextlib import suppress

import pytest

from casgan_dicom.node.certificates import NamedFile, TlsFiles
from casgan_dicom.node.tls import server_context
from casgan_dicom.node.tls_channel import Channel
from tests.node.secure import Authority, Pair, client


class Pipe:
    """A line that does not block, and takes or gives no more at once than it likes."""

    def __init__(self, chance: random.Random, most: int) -> None:
        self._chance, self._most = chance, most
        self.to_us, self.to_them = bytearray(), bytearray()
        self.is_over = False

    def receive(self, size: int) -> bytes:
        if not self.to_us and not self.is_over:
            raise BlockingIOError
        count = min(size, self._chance.randint(1, self._most))
        content = bytes(self.to_us[:count])
        del self.to_us[:count]
        return content

    def send(self, view: memoryview) -> int:
        if self._chance.random() < 0.3:
            raise BlockingIOError
        count = min(len(view), self._chance.randint(1, self._most))
        self.to_them += view[:count]
        return count


class Ends:
    """Our end, and one of Python's own."""

    def __init__(self, authority: Authority, pair: Pair, shown: Pair, seed: int, most: int) -> None:
        files = TlsFiles(
            NamedFile("c", pair.certificate), NamedFile("k", pair.key), NamedFile("a", authority.certificate)
        )
        self.pipe = Pipe(random.Random(seed), most)
        self.ours = Channel(server_context(files), self.pipe.receive, self.pipe.send)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client(authority, shown)
        self.theirs = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self._both(self.ours.handshake, self.theirs.do_handshake)

    def move(self) -> None:
        """What each end has written, to the other."""
        self.pipe.to_us += self._out.read()
        self._in.write(bytes(self.pipe.to_them))
        self.pipe.to_them.clear()

    def _both(self, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        left = [ours, theirs]
        for _ in range(100_000):
            for each in list(left):
                try:
                    each()
                    left.remove(each)
                except (BlockingIOError, ssl.SSLWantReadError):
                    pass
                self.move()
            if not left:
                return
        raise AssertionError("the handshake does not end")


def received(channel: Channel) -> bytes:
    """What comes next, although it may come in pieces."""
    buffer = memoryview(bytearray(100))
    for _ in range(1000):
        with suppress(BlockingIOError):
            return bytes(buffer[: channel.receive(buffer)])
    raise AssertionError("nothing comes")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("most", [1, 700, 200_000])
def test_what_is_sent_comes_whole_and_in_order_both_ways(
    authority: Authority, node: Pair, modality: Pair, seed: int, most: int
) -> None:
    ends, chance = Ends(authority, node, modality, seed, most), random.Random(seed)
    length = 3_000 if most == 1 else 300_000
    there, back = chance.randbytes(length), chance.randbytes(length)
    came, arrived, rest, at = bytearray(), bytearray(), memoryview(back), 0
    buffer = memoryview(bytearray(50_000))
    while len(came) < length or len(arrived) < length:
        if at < length:
            at += ends.theirs.write(there[at : at + chance.randint(1, 40_000)])
        ends.move()
        try:
            while len(came) < length:
                size = chance.randint(1, len(buffer))
                came += buffer[: ends.ours.receive(buffer[:size])]
        except BlockingIOError:
            assert not ends.ours.holds  # else whoever asks it would not sleep
        try:
            if rest or ends.ours.unsent:
                rest = rest[ends.ours.send(rest) :]
        except BlockingIOError:
            assert ends.ours.unsent
        ends.move()
        with suppress(ssl.SSLWantReadError):
            arrived += ends.theirs.read(100_000)

    assert (bytes(came), bytes(arrived)) == (there, back)


def test_who_showed_a_certificate_is_known_by_its_names_and_digest(
    authority: Authority, node: Pair, modality: Pair
) -> None:
    identity = Ends(authority, node, modality, 1, 5000).ours.identity

    assert identity is not None
    assert identity.names == {"DNS:ct1.example", "URI:urn:ct:1", "CN:ct1"}
    assert identity.sha256 == modality.sha256


def test_end_is_told_and_heard_once_everything_has_come(
    authority: Authority, node: Pair, modality: Pair
) -> None:
    ends = Ends(authority, node, modality, 2, 5000)
    ends.theirs.write(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        ends.theirs.unwrap()
    ends.move()

    assert received(ends.ours) == b"last words"
    assert received(ends.ours) == b""
    assert ends.ours.is_over
    assert ends.ours.holds


def test_line_that_is_cut_is_an_end_and_changed_bytes_are_a_fault(
    authority: Authority, node: Pair, modality: Pair
) -> None:
    cut = Ends(authority, node, modality, 3, 5000)
    cut.pipe.is_over = True
    assert received(cut.ours) == b""

    changed = Ends(authority, node, modality, 4, 5000)
    changed.theirs.write(b"something")
    changed.move()
    changed.pipe.to_us[-1] ^= 1
    for _ in range(2):  # and stays one
        with pytest.raises(ssl.SSLError):
            received(changed.ours)
    assert changed.ours.is_over
