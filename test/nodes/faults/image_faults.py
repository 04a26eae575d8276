"""Faults of images, raw and compressed: name, act, words, what may be published."""

import struct
import zlib
from functools import partial
from operator import attrgetter

import cv2
import numpy as np
from fault_acts import setting
from fault_campaign import NONE_OR_RIGHT, QUIET, RIGHT, Fault, Stream, broken, within
from peer import scene
from sensor_msgs.msg import CompressedImage

HUGE = 2**32 - 1
changed = partial(setting, attrgetter("image"))


def cut(sample):
    sample.image.data = sample.image.data[:100]


def declares_2_gb(sample):
    sample.image.width, sample.image.height, sample.image.step = 30000, 24000, 90000


def one_pixel(sample):
    sample.image.width = sample.image.height = 1
    sample.image.step, sample.image.data = 3, b"\x80\x80\x80"


def another_size(sample):
    """As a driver that was switched to another resolution, but for its camera_info."""
    sample.image.width, sample.image.height, sample.image.step = 48, 36, 144
    sample.image.data = bytes(48 * 36 * 3)


def black(sample):
    sample.image.data = bytes(len(sample.image.data))


def noise(sample):
    sample.image.data = np.random.default_rng(0).integers(0, 256, len(sample.image.data), np.uint8).tobytes()


def padded(sample):
    """Rows with padding are right."""
    rows = np.frombuffer(sample.image.data, np.uint8).reshape(48, 192)
    sample.image.step, sample.image.data = 200, np.pad(rows, ((0, 0), (0, 8))).tobytes()


def frame(name):
    def change(sample):
        sample.image.header.frame_id = name

    return broken(change)


def garbage(publisher):
    """Bytes that are no message: nothing, a beginning, noise, and sizes of 4 GB."""

    def act(stream: Stream) -> None:
        random = np.random.default_rng(1)
        for count in (0, 3, 4, 20, 1000):
            publisher(stream.peer).publish(random.integers(0, 256, count, np.uint8).tobytes())
        publisher(stream.peer).publish(b"\0\1\0\0" + b"\xff" * 40)

    return within(act)


def burst(stream: Stream) -> None:
    """Two hundred images at once."""
    period_s, stream.period_s = stream.period_s, 0.0
    for _ in range(200):
        stream.send(stream.sample())
    stream.period_s = period_s


RAW = [
    Fault("data cut short", broken(cut), "cut short"),
    Fault("no data", changed(data=b""), "cut short"),
    Fault("unknown encoding", changed(encoding="yuv_unheard_of"), "yuv_unheard_of"),
    Fault("empty encoding", changed(encoding=""), "encoding ''"),
    Fault("encoding of 100,000 letters", changed(encoding="x" * 100_000), "encoding"),
    Fault("encoding of more bytes a pixel", changed(encoding="rgba16"), "needed at least 512 bytes"),
    Fault("size 0", changed(width=0, height=0), "size 0x0"),
    Fault("width 2^32 - 1", changed(width=HUGE), "image"),
    Fault("size and step 2^32 - 1", changed(width=HUGE, height=HUGE, step=HUGE), "image"),
    Fault("declares 2 GB", broken(declares_2_gb), "30000x24000"),
    Fault("step 0, otherwise right", changed(step=0), QUIET, RIGHT),
    Fault("step 2^32 - 1", changed(step=HUGE), QUIET, NONE_OR_RIGHT),
    Fault("rows with padding", broken(padded), QUIET, RIGHT),
    Fault("one pixel", broken(one_pixel), QUIET, NONE_OR_RIGHT),
    Fault("another size than camera_info", broken(another_size), "image: 48x36", NONE_OR_RIGHT),
    Fault("black", broken(black), QUIET, NONE_OR_RIGHT),
    Fault("noise", broken(noise), QUIET, NONE_OR_RIGHT),
    Fault("no frame", frame(""), "the image has no frame_id"),
    Fault("another frame", frame("moon"), "moon"),
    Fault("frame of 100,000 letters", frame("m" * 100_000), "mmm"),
    Fault("bytes that are no message", garbage(lambda peer: peer.images), QUIET, NONE_OR_RIGHT),
    Fault("200 at once", burst, QUIET, NONE_OR_RIGHT),
    Fault("none for 0.5 s", broken(lambda sample: setattr(sample, "image", None), 10), QUIET),
]


# ---- compressed ------------------------------------------------------------------------------


class Compressed(Stream):
    """A stream whose images are PNG."""

    def sample(self, stamp_ns=None):
        sample = super().sample(stamp_ns)
        data = cv2.imencode(".png", scene()[0])[1].tobytes()
        form = "rgb8; png compressed bgr8"
        sample.image = CompressedImage(header=sample.image.header, format=form, data=data)
        return sample


def data(make):
    """Replaces the file."""

    def change(sample):
        sample.image.data = make(bytes(sample.image.data))

    return broken(change)


def png(width, height):
    """A valid file of zeros, one bit a pixel: small, and huge when decoded."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + -(-width // 8)) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def huge_camera(sample):
    """A large picture whose camera_info is of its size."""
    sample.image.data = LARGE
    sample.info.width = sample.info.height = 9990


def declared(content):
    """The file with a header that declares 30000x30000 pixels."""
    return content[:16] + struct.pack(">II", 30000, 30000) + content[24:]


def other_format(suffix):
    return lambda content: cv2.imencode(suffix, scene()[0])[1].tobytes()


def flipped(content):
    """Twenty bytes of the pixels changed."""
    content = bytearray(content)
    for at in range(60, len(content) - 20, max(1, len(content) // 20)):
        content[at] ^= 0xFF
    return bytes(content)


BOMB, LARGE = png(12000, 12000), png(9990, 9990)
COMPRESSED = [
    Fault("cut short", data(lambda content: content[: len(content) // 2]), "cannot be decoded"),
    Fault("empty", data(lambda content: b""), "cannot be decoded"),
    Fault("noise", data(lambda content: b"\x89PNG" + bytes(range(200))), "cannot be decoded"),
    Fault("bytes flipped", data(flipped), "cannot be decoded", NONE_OR_RIGHT),
    Fault("12000x12000 in 20 kB", data(lambda content: BOMB), "12000x12000"),
    Fault("9990x9990, as its camera_info", broken(huge_camera), "9990x9990"),
    Fault("header declares 30000x30000", data(declared), "image: "),
    Fault("BMP", data(other_format(".bmp")), "needed"),
    Fault("TIFF", data(other_format(".tiff")), "needed"),
    Fault("H.264", data(lambda content: b"\0\0\0\1" + bytes(100)), "video"),
    Fault("bytes that are no message", garbage(lambda peer: peer.compressed), QUIET, NONE_OR_RIGHT),
]

GROUPS = {
    "image": ({}, {}, RAW),
    "compressed": ({"input.image_transport": "compressed"}, {"kind": Compressed}, COMPRESSED),
}
