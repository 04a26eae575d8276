"""Files of points: each kind read as what it is, or refused by name."""

import numpy as np
import pytest

from metric_depth_ros.datasets.point_file import likely_columns, read_point_file
from metric_depth_ros.errors import InputError

COUNT = 1200  # divisible by all lengths of rows


@pytest.fixture
def points():
    """A LiDAR's: around it and flat, in no order."""
    return np.random.default_rng(0).normal(0, [12, 9, 1], (COUNT, 3)).astype("<f4")


def with_columns(points, columns):
    """Rows with intensity, ring, time, and more."""
    ring = np.arange(COUNT) % 32
    more = [np.full(COUNT, 17.0), ring, ring * 1e-3, ring % 2, ring + 5.0]
    return np.column_stack([points, *more[: columns - 3]]).astype("<f4")


def pcd(rows, fields, kind, *, types=None, sizes=None, counts=None, comment=b"# .PCD v0.7\n"):
    count = len(fields)
    told = {
        "FIELDS": fields, "SIZE": sizes or [4] * count, "TYPE": types or "F" * count,
        "COUNT": counts or [1] * count, "WIDTH": [len(rows)], "HEIGHT": [1],
        "VIEWPOINT": [0, 0, 0, 1, 0, 0, 0], "POINTS": [len(rows)], "DATA": [kind],
    }  # fmt: skip
    head = "".join(f"{name} {' '.join(map(str, values))}\n" for name, values in told.items())
    body = rows.tobytes() if kind != "ascii" else "".join(f"{' '.join(map(str, r))}\n" for r in rows).encode()
    return comment + b"VERSION 0.7\n" + head.encode() + body


def write(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "columns", "told"),
    [
        ("a.bin", 4, None),
        ("LIDAR_TOP.pcd.bin", 5, None),
        ("a.bin", 3, 3),
        ("a.bin", 5, 5),
        ("a.pcd.bin", 4, 4),
        ("points", 6, 6),
    ],
)
def test_raw_rows_of_any_length(tmp_path, points, name, columns, told):
    path = write(tmp_path, name, with_columns(points, columns).tobytes())
    np.testing.assert_array_equal(read_point_file(path, told), points)


@pytest.mark.parametrize(
    ("name", "columns", "told"),
    [("a.bin", 5, None), ("a.bin", 3, None), ("a.bin", 6, None), ("a.bin", 8, None), ("a.pcd.bin", 4, None),
     ("a.bin", 4, 3), ("a.bin", 5, 6)],
)  # fmt: skip
def test_rows_of_another_length_are_refused_with_theirs(tmp_path, points, name, columns, told):
    path = write(tmp_path, name, with_columns(points, columns).tobytes())
    with pytest.raises(InputError, match=rf"{name}: .*look like rows of {columns}\. Set points_columns"):
        read_point_file(path, told)


def test_a_few_rows_are_taken_as_told(tmp_path, points):
    path = write(tmp_path, "a.bin", with_columns(points, 4)[:10].tobytes())
    np.testing.assert_array_equal(read_point_file(path), points[:10])
    with pytest.raises(InputError, match="needed rows of 4 float32"):
        read_point_file(write(tmp_path, "b.bin", b"\x80" * 20))
    assert read_point_file(write(tmp_path, "c.bin", b"")).shape == (0, 3)


def test_points_that_are_alike_in_all_columns_prove_nothing():
    alike = np.random.default_rng(0).normal(0, 1, 4 * COUNT).astype(np.float32)
    assert likely_columns(alike, 4) == 4
    assert likely_columns(np.zeros(4 * COUNT, np.float32), 4) == 4


def test_numpy_files(tmp_path, points):
    for kind in ("<f4", ">f8"):
        np.save(tmp_path / "a.npy", with_columns(points, 5).astype(kind))
        np.testing.assert_array_equal(read_point_file(tmp_path / "a.npy"), points)
    named = np.zeros((COUNT, 1), [("intensity", "<f4"), ("z", "<f4"), ("x", "<f8"), ("y", "<f4")])
    for index, axis in enumerate("xyz"):
        named[axis][:, 0] = points[:, index]
    np.save(tmp_path / "named.bin.npy", named)
    np.testing.assert_array_equal(read_point_file(tmp_path / "named.bin.npy"), points)


@pytest.mark.parametrize("kind", ["binary", "ascii"])
@pytest.mark.parametrize("name", ["a.pcd", "a.bin"])
def test_pcd_files(tmp_path, points, kind, name):
    path = write(tmp_path, name, pcd(with_columns(points, 4), ["x", "y", "z", "intensity"], kind))
    np.testing.assert_allclose(read_point_file(path), points, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".npy", ".pcd"])
@pytest.mark.parametrize(("stored", "kept"), [("<f8", "f8"), ("<i4", "f8"), ("<f4", "f4"), ("<i2", "f4")])
def test_points_stay_as_fine_as_they_are_stored(tmp_path, suffix, stored, kept):
    values = np.array([[691, 5335, 519], [1, -2, 3]])
    values = (values * 1000 + 1 if kept == "f8" else values).astype(stored)  # UTM, in metres
    path, size = tmp_path / f"a{suffix}", values.itemsize
    if suffix == ".npy":
        np.save(path, values)
    else:
        types = values.dtype.kind.upper() * 3
        path.write_bytes(pcd(values, "xyz", "binary", types=types, sizes=[size] * 3))
    points = read_point_file(path)
    assert points.dtype == kept
    np.testing.assert_array_equal(points, values)


def test_pcd_files_with_other_types_padding_and_no_comment(tmp_path, points):
    row = np.dtype([("rgb", "<u4"), ("_", "<u1", (2,)), ("y", "<f8"), ("x", "<f8"), ("z", "<f8")])
    rows = np.zeros(COUNT, row)
    rows["rgb"], rows["_"] = 0xFFFFFF, 77
    for index, axis in enumerate("xyz"):
        rows[axis] = points[:, index]
    told = {"types": "UUFFF", "sizes": [4, 1, 8, 8, 8], "counts": [1, 2, 1, 1, 1], "comment": b""}
    path = write(tmp_path, "a.pcd", pcd(rows, ["rgb", "_", "y", "x", "z"], "binary", **told))
    np.testing.assert_array_equal(read_point_file(path), points)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.ply", b"ply\nformat binary_little_endian 1.0\n", "is PLY; needed raw float32, PCD or NPY"),
        ("a.bin", b"ply\nformat ascii 1.0\n", "is PLY"),
        ("a.las", b"LASF\0\0", "is LAS"),
        ("a.npz", b"PK\x03\x04\0\0", "is a zip archive"),
        ("a.bin.gz", b"\x1f\x8b\x08\0", "is gzip"),
        ("a.xyz", b"1.0 2.0 3.0\n4.0 5.0 6.0\n", "text; needed"),
        ("a.csv", b"x,y,z,intensity\n1,2,3,4\n", "text; needed"),
        ("a.pcd", b"\0\x80" * 16, "holds something else than its name says"),
        ("a.npy", b"\0\x80" * 16, "holds something else than its name says"),
        ("a.npy", b"\x93NUMPY\x01\0v\0{'descr'", "cannot be read"),
        ("a.pcd", pcd(np.zeros((9, 3), "<f4"), "xyz", "binary_compressed"), "pcl_convert_pcd_ascii_binary"),
        ("a.pcd", pcd(np.zeros((9, 3), "<f4"), "xyz", "binary")[:-7], "cannot be read"),
        ("a.pcd", pcd(np.zeros((9, 3), "<f4"), "abc", "binary"), "fields a, b, c"),
        ("a.pcd", b"VERSION 0.7\nFIELDS x y z\n", "cannot be read"),
    ],
)
def test_other_and_damaged_files_are_refused_by_name(tmp_path, name, data, words):
    with pytest.raises(InputError, match=words) as caught:
        read_point_file(write(tmp_path, name, data))
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a.bin: No such file"):
        read_point_file(tmp_path / "a.bin")
