"""Damaged and lying files of frames: a named error of bounded memory, and nothing from outside the folder."""

from __future__ import annotations

import io
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from metric_depth_ros.array_files import read_npy, read_npz
from metric_depth_ros.datasets import FrameFolder, ShardFrames, open_dataset
from metric_depth_ros.datasets.point_file import read_point_file
from metric_depth_ros.datasets.shard_layout import Scan, encode_depth, encode_scans
from metric_depth_ros.encoded_pictures import decode_picture, picture_size
from metric_depth_ros.errors import InputError, MetricDepthError

SIZE = (32, 24)
EYE = np.eye(4).tolist()
# Odd values for any key of calib.json.
ODD: tuple[Any, ...] = (
    "text", "", [], [1, [2]], {"a": 1}, True, float("inf"), float("nan"), -1, 0, 1e300, 10**400, 5000 * "x",
    "../x", "/etc/passwd", "a\0b", ".",
)  # fmt: skip
KEYS = (
    "id", "rgb", "timestamp", "fx", "cx", "width", "height", "distortion", "distortion_model", "depth",
    "depth_scale", "points", "points_columns", "T_camera_lidar", "T_world_camera", "description",
    "lowres_depth", "sparse", "regions",
)  # fmt: skip


def write_frame(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    width, height = SIZE
    cv2.imwrite(str(folder / "a.png"), np.full((height, width, 3), 99, np.uint8))
    cv2.imwrite(str(folder / "depth.png"), np.full((height, width), 1000, np.uint16))
    np.savez(folder / "depth.npz", depth=np.ones((height, width), np.float32))
    np.ones((100, 4), np.float32).tofile(folder / "points.bin")
    frame = {
        "rgb": "a.png", "depth": "depth.npz", "points": "points.bin", "T_camera_lidar": EYE,
        "T_world_camera": EYE, "fx": 25.0, "fy": 25.0, "cx": 15.0, "cy": 11.0, "width": width,
        "height": height, "depth_scale": 1e-3,
    }  # fmt: skip
    (folder / "calib.json").write_text(json.dumps({"frames": [{**frame, **changes}]}))
    return folder


def use(folder: Path) -> None:
    """All that is ever asked of a frame."""
    frames = FrameFolder(folder)
    assert frames.ids and frames.has_one_rig in (True, False)
    frames.has_depth(0, or_points=True)
    frames.descriptions(0)
    frames.coarse_depth(0)
    frames[0].sample()


@pytest.mark.parametrize("key", KEYS)
def test_odd_values_of_a_calibration_are_read_or_named(tmp_path: Path, key: str) -> None:
    needed = {"depth_scale": {"depth": "depth.png"}, "distortion_model": {"distortion": [0.1, 0, 0, 0]}}
    refused = []
    for number, value in enumerate(ODD):
        folder = write_frame(tmp_path / str(number), **needed.get(key, {}), **{key: value})
        try:
            use(folder)
        except MetricDepthError as error:
            refused.append(str(error))
    assert len(refused) >= 3
    assert max(map(len, refused)) <= 1000


@pytest.mark.parametrize("key", ["rgb", "depth", "points", "lowres_depth", "sparse", "regions"])
@pytest.mark.parametrize("name", ["../outside.png", "/etc/hostname", "a/../../outside.png"])
def test_no_file_outside_the_folder_is_read(tmp_path: Path, key: str, name: str) -> None:
    with pytest.raises(InputError, match="leads out of the folder"):
        use(write_frame(tmp_path / "set", **{key: name}))


@pytest.mark.parametrize("name", ["calib.json", "a.png", "depth.npz", "points.bin"])
def test_a_pipe_in_place_of_a_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_frame(tmp_path / "set")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match="a pipe, no regular file"):
        open_dataset(folder)[0]


def npy_header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz_of(member: bytes, name: str = "depth.npy", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr(name, member)
    return stream.getvalue()


BOMB = npz_of(npy_header("(50000, 50000)") + bytes(50_000_000))
BAD_DEPTH = {
    "bomb": (BOMB, "declares 10 GB"),
    "exabytes": (npz_of(npy_header(f"({2**40}, {2**40})")), "declares"),
    "negative": (npz_of(npy_header("(-1, -24)")), "of shape"),
    "cut off": (npz_of(npy_header("(24, 32)") + bytes(100)), "ends after 100 bytes of 3.07 kB"),
    "objects": (npz_of(npy_header("(24, 32)", "|O")), "object"),
    "texts": (npz_of(npy_header("(24, 32)", "<U1") + bytes(4 * 24 * 32)), "needed numbers"),
    "complex": (npz_of(npy_header("(24, 32)", "<c8") + bytes(8 * 24 * 32)), "needed numbers"),
    "another shape": (npz_of(npy_header("(24, 31)") + bytes(4 * 24 * 31)), "31x24"),
    "flat": (npz_of(npy_header("(768,)") + bytes(4 * 768)), "is 768"),
    "another name": (npz_of(npy_header("(24, 32)") + bytes(4 * 768), "d.npy"), "holds no depth"),
    "lzma": (
        npz_of(npy_header("(24, 32)") + bytes(4 * 768), method=zipfile.ZIP_LZMA),
        "compressed otherwise",
    ),
    "no npz": (b"hello", "damaged"),
    "no npy": (npz_of(b"hello"), "damaged"),
    "deep header": (npz_of(b"\x93NUMPY\x02\x00" + struct.pack("<I", 9000) + 9000 * b"("), "damaged"),
}


@pytest.mark.parametrize("name", BAD_DEPTH)
def test_damaged_depth_is_named(tmp_path: Path, name: str) -> None:
    data, words = BAD_DEPTH[name]
    folder = write_frame(tmp_path / "set")
    (folder / "depth.npz").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=rf"depth\.npz.*{words}"):
            FrameFolder(folder)[0]
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_arrays_are_read_as_numpy_stores_them() -> None:
    arrays = {
        "a": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "b": np.array("depth"),
        "c": np.empty((0, 3)),
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    for name, found in read_npz(stream).items():
        np.testing.assert_array_equal(found, arrays[name])
        assert found.flags.writeable
    with pytest.raises(InputError, match="at most 8 bytes"):
        read_npz(stream, ["a"], 8)
    with pytest.raises(InputError, match="damaged"):
        read_npy(io.BytesIO(b"\x93NUMPY\x09\x00"), 100)


def png_of(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("shape", [(3, 5, 3), (300, 17), (1, 1)])
def test_the_size_of_a_picture_is_known_before_it_is_decoded(suffix: str, shape: tuple[int, ...]) -> None:
    data = cv2.imencode(suffix, np.zeros(shape, np.uint8))[1].tobytes()
    assert picture_size(data) == (shape[1], shape[0])
    assert decode_picture(data, cv2.IMREAD_UNCHANGED).shape == shape
    for end in range(0, len(data), 7):
        assert picture_size(data[:end]) in (None, (shape[1], shape[0]))


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    folder = write_frame(tmp_path / "set", width=None, height=None)
    (folder / "a.png").write_bytes(png_of(32_000, 32_000))
    with pytest.raises(InputError, match="32000x32000 pixels; at most"):
        FrameFolder(folder)[0]
    for data in (cv2.imencode(".bmp", np.zeros((2, 2), np.uint8))[1].tobytes(), b"", b"\xff\xd8\xff"):
        (folder / "a.png").write_bytes(data)
        with pytest.raises(InputError, match="no PNG or JPEG"):
            FrameFolder(folder)[0]


@pytest.mark.parametrize("key", ["depth", "sparse", "regions"])
def test_a_picture_beside_an_image_of_another_size_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    (write_frame(tmp_path / "set", **{key: "d.png"}) / "d.png").write_bytes(png_of(5600, 5600))
    decode, decoded = cv2.imdecode, list[int]()
    monkeypatch.setattr(
        cv2, "imdecode", lambda data, flags: (decoded.append(len(data)), decode(data, flags))[1]
    )
    with pytest.raises(InputError, match=r"d\.png is 5600x5600; needed (depth|labels) of "):
        FrameFolder(tmp_path / "set")[0]
    assert len(decoded) == 1


PCD = b"VERSION .7\nFIELDS x y z\nTYPE F F F\nSIZE 4 4 4\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.npy", npy_header("(1000000000000, 3)")),
        ("a.npy", npy_header("(10, 3)", "|O") + bytes(240)),
        ("a.pcd", PCD + b"COUNT 1 1 900000000\nPOINTS 1\nDATA ascii\n1"),
        ("a.pcd", PCD + b"POINTS " + 5000 * b"9" + b"\nDATA binary\n1"),
    ],
)
def test_points_that_declare_too_much_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        read_point_file(tmp_path / name)


def shard_parts() -> dict[str, bytes]:
    width, height = SIZE
    scan = Scan(np.ones((5, 3), np.float32), np.ones(5, np.int32), np.zeros(5, bool), np.eye(4))
    info = {"width": width, "height": height, "K": [[25, 0, 15], [0, 25, 11], [0, 0, 1]], "scene": 3}
    return {
        "jpg": cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes(),
        "depth.png": cv2.imencode(".png", encode_depth(np.ones((height, width), np.float32)))[1].tobytes(),
        "json": json.dumps(info).encode(),
        "points.npz": encode_scans({"lidar": scan}),
    }


def write_shard(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for suffix, data in parts.items():
            archive.writestr(f"00000000.{suffix}", data)
    return path.parent


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("jpg", png_of(32_000, 32_000)),
        ("depth.png", cv2.imencode(".png", np.zeros((24, 32, 3), np.uint8))[1].tobytes()),
        ("depth.png", cv2.imencode(".png", np.zeros((24, 32), np.uint8))[1].tobytes()),
        ("depth.png", cv2.imencode(".png", np.zeros((24, 31), np.uint16))[1].tobytes()),
        ("json", b"[1]"),
        ("json", 100_000 * b"["),
        ("json", b'{"width": 32, "height": [24], "K": 3}'),
        ("json", b'{"width": 32, "height": 24, "K": [' + 400 * b"9" + b"]}"),
        ("json", b'{"width": 31, "height": 24, "K": [[25, 0, 15], [0, 25, 11], [0, 0, 1]]}'),
        ("points.npz", BOMB),
        ("points.npz", npz_of(npy_header("(3,)") + bytes(12), "lidar/points.npy")),
        ("points.npz", encode_scans({"lidar": Scan(*(np.ones((2, 2)) for _ in range(4)))})),
    ],
)
def test_damaged_samples_of_shards_are_named(tmp_path: Path, suffix: str, data: bytes) -> None:
    folder = write_shard(tmp_path / "shard_00000.zip", shard_parts())
    assert ShardFrames(folder)[0].points_lidar is not None
    write_shard(tmp_path / "shard_00000.zip", {**shard_parts(), suffix: data})
    with pytest.raises(InputError):
        ShardFrames(folder)[0]


def test_a_shard_that_lies_of_a_size_or_is_a_pipe_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard_00000.zip"
    write_shard(path, shard_parts())
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="cut off"):
        ShardFrames(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="a pipe"):
        ShardFrames(tmp_path)


def test_things_of_a_shard_are_regions_and_what_is_endless_is_sky(tmp_path: Path) -> None:
    width, height = SIZE
    instances = np.arange(width * height, dtype=np.uint16).reshape(height, width) // 100
    depth = np.where(instances == 0, np.inf, 1).astype(np.float32)
    parts = {
        "instances.png": cv2.imencode(".png", instances)[1].tobytes(),
        "depth.png": cv2.imencode(".png", encode_depth(depth))[1].tobytes(),
    }
    (frame,) = ShardFrames(write_shard(tmp_path / "shard_00000.zip", {**shard_parts(), **parts}))
    assert frame.regions is not None and frame.sky is not None and frame.depth is not None
    np.testing.assert_array_equal(frame.regions, instances)
    np.testing.assert_array_equal(frame.sky, instances == 0)
    assert np.isnan(frame.depth[frame.sky]).all()
    small = cv2.imencode(".png", instances[:-1])[1].tobytes()
    write_shard(tmp_path / "shard_00000.zip", {**shard_parts(), "instances.png": small})
    with pytest.raises(InputError, match="image and instances are of different sizes"):
        ShardFrames(tmp_path)[0]
