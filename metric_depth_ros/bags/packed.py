"""Unpacks what is compressed in bags; a small file can say that it holds terabytes, or hold them."""

from __future__ import annotations

import bz2
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeAlias

from lz4.frame import LZ4FrameDecompressor

from metric_depth_ros.files import in_words

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# What one message, or one chunk unpacked, may have: more than the largest image that is read, of 16-bit RGBA.
MOST = 1 << 28
# What all of a file may have: this much, and so many times its size. Black images are as much as 1000:1.
_FREE, _RATIO = 1 << 29, 1000
_PIECE = 1 << 20
# Bytes, or a view of some.
Data: TypeAlias = "bytes | memoryview"
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "lz4": LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "bz2": bz2.BZ2Decompressor,
}


def check_message(size: int) -> None:
    """Raises ValueError for a message of more bytes than any that is read."""
    if size > MOST:
        raise ValueError(f"a message of {in_words(size)}; at most {in_words(MOST)} are read")


class Unpacker:
    """Unpacks parts of one file, as often as they are read, up to a limit for all."""

    def __init__(self, size: int) -> None:
        """``size``: of the file, bytes."""
        self._most = self._left = _FREE + _RATIO * size

    def unpack(self, data: Data, compression: str, size: int | None = None) -> bytes:
        """A chunk or message.

        Args:
            compression: "zstd", "lz4" or "bz2"; "" or "none" for none.
            size: as the file says it; None: it says nothing.

        Raises:
            ValueError: the compression is unknown, the data damaged, or too large when unpacked.
        """
        if size is not None and size > MOST:
            raise ValueError(f"a chunk says that it holds {in_words(size)}, more than {in_words(MOST)}")
        if compression in ("", "none"):
            return bytes(data)
        if compression not in _DECOMPRESSORS:
            raise ValueError(f"compression {compression!r} is not known")
        limit = MOST if size is None else size
        pieces, total = [], 0
        for piece in _pieces(_DECOMPRESSORS[compression], iter([data]), limit + 1):
            total += len(piece)
            if total > limit:
                raise ValueError(f"a chunk or message is larger than {in_words(limit)} when unpacked")
            self.spend(len(piece))
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def copy(self, packed: BinaryIO, unpacked: BinaryIO) -> None:
        """Unpacks a whole file in zstd. Raises ValueError as ``unpack``."""
        source = iter(lambda: packed.read(_PIECE), b"")
        for piece in _pieces(zstd.ZstdDecompressor, source, _PIECE):
            self.spend(len(piece))
            unpacked.write(piece)

    def spend(self, size: int) -> None:
        """Counts so many bytes. Raises ValueError if they are too many for the file."""
        self._left -= size
        if self._left < 0:
            raise ValueError(f"it holds more than {in_words(self._most)} unpacked, too much for its size")


def _pieces(make: Callable[[], Any], source: Iterator[Data], most: int) -> Iterator[bytes]:
    """Yields what is unpacked of packed pieces, at most so much at once. Raises ValueError if it is cut."""
    decompressor, fed = make(), False
    for data in source:
        while data or not decompressor.needs_input:
            if decompressor.eof:  # another frame follows
                decompressor = make()
            piece, data = decompressor.decompress(data, most), b""
            fed = True
            if piece:
                yield piece
            if decompressor.eof:
                data = decompressor.unused_data or b""
                if not data:
                    break
    if fed and not decompressor.eof:
        raise ValueError("a chunk is damaged: it is cut short")


def packed(data: bytes) -> bytes:
    """Data packed by zstd, with a checksum, so that damage is found."""
    return bytes(zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}))
