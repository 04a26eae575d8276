"""Published datasets: small files in their real layouts come back as they were, damaged ones as an error."""

from __future__ import annotations

import builtins
import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_published import (
    EYE,
    HEIGHT,
    LAYOUTS,
    POSE,
    WIDTH,
    Made,
    depth_of,
    image_of,
    known,
    save,
    save_text,
    words,
)
from scipy.io import savemat
from scipy.sparse import csc_matrix

from metric_depth_ros.cli.main import main
from metric_depth_ros.datasets import DATASETS, is_dataset, open_dataset
from metric_depth_ros.datasets.hdf5_file import Hdf5File
from metric_depth_ros.datasets.matlab_file import matlab_fields, read_matlab
from metric_depth_ros.datasets.published import PublishedDataset
from metric_depth_ros.datasets.published_files import read_codes, read_numbers, read_table
from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.geometry import pixel_rays, project

h5py = pytest.importorskip("h5py")

every_layout = pytest.mark.parametrize("layout", LAYOUTS)
PUBLISHED = {name: kind for name, kind in DATASETS.items() if issubclass(kind, PublishedDataset)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Every layout, written once; tests that damage one copy it."""
    root = tmp_path_factory.mktemp("published")
    return {name: make(root / name) for name, make in LAYOUTS.items()}


def copied(made: Made, to: Path) -> Path:
    shutil.copytree(made.path, to)
    return to


def use(path: Path, split: str = "") -> None:
    """All that is ever asked of a dataset."""
    dataset = open_dataset(path if not split else f"{split}:{path}")
    assert dataset.has_one_rig in (True, False)
    for index in range(len(dataset)):
        frame = dataset[index]
        dataset.evaluated(frame)
        for part in (frame.depth, frame.sparse_depth, frame.regions):
            assert part is None or part.shape == frame.image.shape[:2]
        assert frame.depth is None or not (frame.depth <= 0).any()
        assert dataset.group(index) >= 0 and dataset.scene(index) >= 0
        assert dataset.ids[index] and dataset.family(index) is not None


# ---- as written ----------------------------------------------------------------------------------


@every_layout
def test_frames_come_back_as_they_were_written(made: dict[str, Made], layout: str) -> None:
    wanted = made[layout]
    dataset = open_dataset(wanted.path)
    assert type(dataset) is DATASETS[wanted.name]
    assert len(dataset) == len(set(dataset.ids)) == len(wanted.images)
    for frame, image, depth in zip(dataset, wanted.images, wanted.depths, strict=True):
        assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - image).mean() < 3
        assert frame.depth.dtype == np.float32
        np.testing.assert_allclose(frame.depth, depth, rtol=2e-3 if layout == "hypersim" else 1e-6)
    assert dataset.picture(0).depth.shape == dataset[0].image.shape[:2]


@every_layout
def test_cameras_poses_and_masks_come_back(made: dict[str, Made], layout: str) -> None:
    wanted = made[layout]
    frame = open_dataset(wanted.path)[0]
    K = frame.camera.K
    np.testing.assert_allclose((K[0, 0], K[1, 1], K[0, 2], K[1, 2]), wanted.intrinsics, rtol=2e-3)
    for found, given in (
        (frame.T_world_camera, wanted.pose),
        (frame.sparse_depth, wanted.sparse),
        (frame.regions, wanted.regions),
    ):
        assert (found is None) == (given is None)
        if given is not None:
            np.testing.assert_allclose(found, given, atol=1e-5)


@every_layout
def test_splits_have_their_frames(made: dict[str, Made], layout: str) -> None:
    wanted = made[layout]
    for split, count in wanted.splits.items():
        assert len(open_dataset(f"{wanted.name}@{split}:{wanted.path}")) == count
    first = open_dataset(wanted.path)
    assert first.split == first.splits[0]
    with pytest.raises(InputError, match=rf"no split 'none' of {first.title}; needed {first.splits[0]}"):
        open_dataset(f"{wanted.name}@none:{wanted.path}")


@every_layout
def test_a_layout_is_recognised_by_one_class_alone(made: dict[str, Made], layout: str) -> None:
    wanted = made[layout]
    assert [name for name, kind in DATASETS.items() if kind.recognises(wanted.path)] == [wanted.name]
    assert is_dataset(wanted.path)
    assert not any(kind.recognises(wanted.path / "nothing") for kind in PUBLISHED.values())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_path_with_nothing_says_where_to_get_the_data(tmp_path: Path, name: str) -> None:
    kind = PUBLISHED[name]
    for split in kind.splits:
        with pytest.raises(InputError) as error:
            open_dataset(f"{name}@{split}:{tmp_path}")
        for part in (str(tmp_path), kind.title, kind.url, f"(licence: {kind.licence})", "needed"):
            assert part in str(error.value), part


# ---- damaged -------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_other_size(path: Path) -> None:
    """Depth of a row less."""
    if path.suffix == ".npy":
        np.save(path, np.load(path)[1:])
    elif path.suffix in (".png", ".tiff"):
        save(path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[1:])
    else:
        path.write_bytes(path.read_bytes()[: -4 * WIDTH])


def of_other_type(path: Path) -> None:
    """Depth in 8 bits, in colour, or as texts."""
    if path.suffix == ".npy":
        np.save(path, np.load(path).astype(str))
    elif path.suffix in (".png", ".tiff"):
        save(path, np.full((HEIGHT, WIDTH), 7, np.uint8))
    else:
        path.write_bytes(b"\x89PNG")


DAMAGE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "other size": of_other_size,
    "other type": of_other_type,
}


@pytest.mark.parametrize("damage", DAMAGE)
@every_layout
def test_damaged_depth_is_named(made: dict[str, Made], tmp_path: Path, layout: str, damage: str) -> None:
    if layout == "scannet" and damage == "other size":
        pytest.skip("the image is resized to it")
    wanted = made[layout]
    root = copied(wanted, tmp_path / "data")
    truth = root / wanted.truth.relative_to(wanted.path)
    DAMAGE[damage](truth)
    kind = DATASETS[wanted.name]
    with pytest.raises(InputError) as error:
        _ = list(open_dataset(f"{wanted.name}:{root}"))
    # The names of these are told nowhere.
    unnamed = {"sun_rgbd": truth.parent, "scannet_sens": root} if damage == "missing" else {}
    for part in (str(unnamed.get(layout, truth)), kind.url, kind.licence):
        assert part in str(error.value), error.value


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@every_layout
def test_any_file_may_be_damaged(made: dict[str, Made], tmp_path: Path, layout: str) -> None:
    """Bytes changed, cut off or put in: a frame or a named error."""
    root = copied(made[layout], tmp_path / "data")
    generator = np.random.default_rng(len(layout))
    for path in files_of(root):
        whole = path.read_bytes()
        for _ in range(6 if len(whole) < 100_000 else 2):
            data = bytearray(whole)
            at, kind = int(generator.integers(len(data))), generator.integers(4)
            if kind == 0:
                del data[at:]
            elif kind == 1:
                data[at : at + 8] = generator.bytes(8)
            elif kind == 2:
                data[at:at] = generator.bytes(4)
            else:
                data[at : at + 4] = b"\xff\xff\xff\x7f"
            path.write_bytes(data)
            with suppress(MetricDepthError):
                use(root)
        path.write_bytes(whole)


ODD_LINES = (
    "", "nan nan", "a b c", "1e400", "..", "../../etc/passwd /etc/passwd", "../x.png", "/", "0 " * 5000,
    "9" * 5000, 200_000 * "x", '"', "ai_001_003,cam_00," + "9" * 5000 + ",True,,test", "a\0b",
)  # fmt: skip


@every_layout
def test_any_text_may_say_something_else(made: dict[str, Made], tmp_path: Path, layout: str) -> None:
    root = copied(made[layout], tmp_path / "data")
    for path in files_of(root):
        if path.suffix not in (".txt", ".csv", ".traj", ".pincam"):
            continue
        whole = path.read_bytes()
        for line in ODD_LINES:
            for text in (f"{line}\n".encode(), whole + f"{line}\n".encode(), b"\xff" + whole):
                path.write_bytes(text)
                with suppress(MetricDepthError):
                    use(root)
        path.write_bytes(whole)


# ---- single formats ------------------------------------------------------------------------------


def test_nyuv2_counts_inside_the_usual_crop(made: dict[str, Made]) -> None:
    for layout in ("nyuv2", "nyuv2_sync"):
        dataset = open_dataset(made[layout].path)
        mask = dataset.evaluated(dataset[0])
        assert mask.shape == (480, 640) and mask.sum() == 426 * 560
        assert mask[45, 41] and mask[470, 600] and not mask[44, 41] and not mask[45, 40]
        assert not mask[471, 600] and not mask[470, 601]
        assert dataset.limits_m == (1e-3, 10)


def test_nyuv2_is_opened_by_the_file_and_tells_scenes(made: dict[str, Made]) -> None:
    dataset = open_dataset(f"nyuv2@all:{made['nyuv2'].truth}")
    assert dataset.ids == ["00000", "00001", "00002"]
    assert [dataset.scene(index) for index in range(3)] == [0, 1, 2]


def test_nyuv2_without_raw_depth_takes_the_filled_one(made: dict[str, Made], tmp_path: Path) -> None:
    root = copied(made["nyuv2"], tmp_path / "data")
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "r+") as file:
        del file["rawDepths"], file["labels"]
    frame = open_dataset(root)[0]
    assert (frame.depth == 2).all()
    assert frame.regions is None


@pytest.mark.parametrize("numbers", [[[0.0]], [[4.0]], [["a"]], [[np.nan]], [[2.5e9]]])
def test_nyuv2_with_other_splits(made: dict[str, Made], tmp_path: Path, numbers: Any) -> None:
    root = copied(made["nyuv2"], tmp_path / "data")
    savemat(root / "splits.mat", {"testNdxs": numbers})
    with pytest.raises(InputError, match=r"splits\.mat: numbers of frames outside 1 to 3"):
        open_dataset(root)


def test_without_h5py_the_extra_is_named(made: dict[str, Made], monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"h5py is not installed.*Install metric_depth_ros\[datasets\]"):
        open_dataset(made["nyuv2"].path)


def test_hdf5_reads_nothing_from_another_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dataset"] = np.ones(3)
    np.ones(3).tofile(tmp_path / "raw")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "dataset")
        file.create_dataset("raw", (3,), float, external=[(str(tmp_path / "raw"), 0, 24)])
        layout = h5py.VirtualLayout((3,), float)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "dataset", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("huge", (1 << 20, 1 << 20), "f8", chunks=(1, 1 << 10), compression="gzip")
        file["text"] = "text"
        file.create_group("group")
    reader = Hdf5File(tmp_path / "a.h5", "an array")
    for name, found in (
        ("link", "lies in another file"),
        ("raw", "lies in another file"),
        ("virtual", "lies in another file"),
        ("huge", "declares 8.8e+03 GB"),
        ("text", "holds no numbers"),
        ("group", "is no array"),
        ("none", "holds no none"),
    ):
        with pytest.raises(InputError, match=rf"a\.h5: .*{found.replace('+', '.')}"):
            reader.read(name)


MATLAB = {
    "numbers": np.array([[1.5, 2, np.nan], [3, -4, np.inf]]),
    "whole": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "truth": np.array([[True, False]]),
    "text": "some text, \u00e9",
    "empty": np.empty((0, 3)),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", MATLAB)
def test_matlab_values_come_back_as_scipy_wrote_them(tmp_path: Path, packed: bool, name: str) -> None:
    savemat(tmp_path / "a.mat", MATLAB, do_compression=packed)
    [value] = read_matlab(tmp_path / "a.mat", name)
    if name == "text":
        assert value == MATLAB["text"]
    else:
        np.testing.assert_array_equal(value, MATLAB[name])


def test_matlab_cells_and_structs_nest(tmp_path: Path) -> None:
    cells = np.array([["a", "bc"]], object)
    inner = {"text": "x", "numbers": [[1.0, 2.0]], "cells": cells, "long_" + 26 * "y": [[5]]}
    savemat(tmp_path / "a.mat", {"data": {"inner": inner, "cells": cells}, "other": [[3.0]]})
    data, other = read_matlab(tmp_path / "a.mat", "data", "other")
    [[record]] = [value["inner"] for value in data]
    assert data[0]["cells"] == record["cells"] == ["a", "bc"]
    assert record["text"] == "x" and record["long_" + 26 * "y"].tolist() == [[5]]
    assert record["numbers"].tolist() == [[1, 2]] and other.tolist() == [[3]]


@pytest.mark.parametrize("value", [np.array([[1j]]), {"a": np.array([[1j]])}, csc_matrix(np.eye(2))])
def test_matlab_values_of_other_classes_are_an_error(tmp_path: Path, value: Any) -> None:
    savemat(tmp_path / "a.mat", {"a": value})
    with pytest.raises(InputError, match=r"a\.mat: damaged, or no MATLAB file before 7\.3; needed"):
        read_matlab(tmp_path / "a.mat", "a")


def test_matlab_objects_beside_what_is_wanted_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"a": [[7.0]]})
    data = path.read_bytes()
    inner = struct.pack("<4I", 6, 8, 17, 0) + struct.pack("<HH4s", 1, 3, b"MCOS") + bytes(8)
    path.write_bytes(data[:128] + struct.pack("<II", 14, len(inner)) + inner + data[128:])
    assert read_matlab(path, "a")[0].tolist() == [[7]]


def test_a_matlab_struct_without_the_numbers(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"data": {"a": [[1.0]], "b": "text"}, "other": [[1.0]]})
    data, other = read_matlab(tmp_path / "a.mat", "data", "other")
    assert matlab_fields(data, tmp_path, "a")[0].tolist() == [[1]]
    for record, names in ((data, ("a", "b")), (data, ("c",)), (other, ("a",)), (data * 2, ("a",))):
        with pytest.raises(InputError, match="the struct has no numbers"):
            matlab_fields(record, tmp_path, *names)
    with pytest.raises(InputError, match=r"a\.mat: holds no none"):
        read_matlab(tmp_path / "a.mat", "none")


@pytest.mark.parametrize("count", [1, 2])
def test_matlab_files_expand_to_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """One large variable, and two that are together."""
    monkeypatch.setattr("metric_depth_ros.datasets.matlab_file._LARGEST", 1 << 20)
    zeros = np.zeros((1 << 18) // count)
    savemat(tmp_path / "a.mat", {"a": zeros, **({"b": zeros} if count == 2 else {})}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 1 << 16
    with pytest.raises(InputError, match=r"a\.mat: damaged"):
        read_matlab(tmp_path / "a.mat", "a")


def test_void_takes_the_density_of_the_path(made: dict[str, Made]) -> None:
    root = made["void"].path
    assert len(open_dataset(root / "void_1500")) == len(open_dataset(root)) == 2
    dataset = open_dataset(root)
    assert dataset.limits_m == (0.2, 5)
    assert dataset.stamp_ns(0) == pytest.approx(1552097950297400000, abs=1000)


def test_sun_rgbd_turns_the_bits_of_every_depth(tmp_path: Path) -> None:
    """All 16 bits, of which the three lowest come from the top."""
    made = LAYOUTS["sun_rgbd"](tmp_path / "data")
    values = np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH) * np.uint16(85)
    save(made.truth, (values << 3) | (values >> 13))
    np.testing.assert_allclose(open_dataset(made.path)[0].depth, known(values / 1000), rtol=1e-6)


def test_sun_rgbd_without_filled_depth_or_labels(made: dict[str, Made], tmp_path: Path) -> None:
    root = copied(made["sun_rgbd"], tmp_path / "data") / "SUNRGBD"
    shutil.rmtree(root / "kv1/NYUdata/NYU0001/depth_bfx")
    (root / "kv1/NYUdata/NYU0001/seg.mat").unlink()
    frame = open_dataset(f"sun_rgbd@all:{root}")[0]
    assert np.isnan(frame.depth).all()
    assert frame.regions is None


def test_hypersim_divides_distance_by_the_length_of_the_ray(made: dict[str, Made]) -> None:
    """A wall at 2 m: points of the frame have z = 2, at the given distance from the camera."""
    frame = open_dataset(made["hypersim"].path)[0]
    points = pixel_rays(frame.camera) * frame.depth[..., None]
    with h5py.File(made["hypersim"].truth) as file:
        distance = known(file["dataset"][()])
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), distance, rtol=1e-6)


def test_hypersim_without_poses_or_instances(made: dict[str, Made], tmp_path: Path) -> None:
    root = copied(made["hypersim"], tmp_path / "data")
    shutil.rmtree(root / "ai_001_003/_detail")
    for path in root.rglob("*.semantic_instance.hdf5"):
        path.unlink()
    frame = open_dataset(root)[0]
    assert frame.T_world_camera is None and frame.regions is None


def hypersim_cameras(root: Path, M: Any) -> None:
    names = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
    header = ",".join(["scene_name", "settings_units_info_meters_scale", *names])
    save_text(root / "metadata_camera_parameters.csv", header, f"ai_001_003,1.0,{words(M, ',')}")


def test_hypersim_with_a_shifted_and_tilted_camera(made: dict[str, Made], tmp_path: Path) -> None:
    """The point of each pixel in the world is where the matrix of the scene's camera has it."""
    root = copied(made["hypersim"], tmp_path / "data")
    M = np.array([[0.5, 0, 0.1], [0, 0.4, -0.05], [0.0, 0.07, -1.1]])
    hypersim_cameras(root, M)
    frame = open_dataset(root)[0]
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([2 * u / WIDTH - 1, 1 - 2 * v / HEIGHT, np.ones_like(u)], axis=-1) @ M.T
    with h5py.File(made["hypersim"].truth) as file:
        distance = known(file["dataset"][()])
    # The pose of the file is of x right, y up, z back.
    points = rays * (distance / np.linalg.norm(rays, axis=-1))[..., None] * [1, -1, -1]
    wanted = points @ POSE[:3, :3].T + POSE[:3, 3]
    ours = (pixel_rays(frame.camera) * frame.depth[..., None]) @ frame.T_world_camera[:3, :3].T
    np.testing.assert_allclose(ours + frame.T_world_camera[:3, 3], wanted, atol=0.02)
    hypersim_cameras(root, np.diag([np.tan(np.pi / 6), np.tan(np.pi / 6) * HEIGHT / WIDTH, -1]))
    np.testing.assert_allclose(
        open_dataset(root)[0].camera.K, open_dataset(made["hypersim"].path)[0].camera.K
    )


@pytest.mark.parametrize("M", [np.zeros(9), np.ones(8), np.full(9, np.nan)])
def test_hypersim_with_a_camera_that_is_none(made: dict[str, Made], tmp_path: Path, M: Any) -> None:
    root = copied(made["hypersim"], tmp_path / "data")
    hypersim_cameras(root, M)
    with pytest.raises(InputError, match=r"metadata_camera_parameters\.csv: "):
        open_dataset(root)


def test_diode_has_limits_by_place(made: dict[str, Made]) -> None:
    path = made["diode"].path
    limits = {"val_indoors": (1e-3, 10), "val_outdoor": (1e-3, 80), "val": None}
    assert {split: open_dataset(f"diode@{split}:{path}").limits_m for split in limits} == limits
    dataset = open_dataset(path)
    assert [dataset.family(index) for index in range(2)] == ["indoors", "outdoor"]
    assert open_dataset(path / "val").ids == dataset.ids


def test_scannet_is_the_same_from_sens_and_exported(made: dict[str, Made]) -> None:
    exported, whole = (open_dataset(made[name].path) for name in ("scannet", "scannet_sens"))
    assert exported.ids == whole.ids == ["scene0011_00/0", "scene0011_00/1"]
    for ours, other in zip(exported, whole, strict=True):
        np.testing.assert_array_equal(ours.image, other.image)
        np.testing.assert_array_equal(ours.depth, other.depth)
    assert exported[1].T_world_camera is None and whole[1].T_world_camera is None
    assert open_dataset(made["scannet_sens"].truth).ids == whole.ids
    np.testing.assert_array_equal(whole[1].depth, whole[1].depth)  # frames in any order
    np.testing.assert_array_equal(open_dataset(made["scannet_sens"].path)[1].depth, exported[1].depth)


@pytest.mark.parametrize(
    ("at", "value", "found"),
    [
        (0, struct.pack("<I", 3), "of version 3"),
        (4, struct.pack("<Q", 1 << 40), "of version 4"),
        (-8, struct.pack("<Q", 1 << 40), "declares 1099511627776 frames"),
        (-36, struct.pack("<i", 0), "compressed in ways"),
        (-32, struct.pack("<i", 2), "compressed in ways"),
        (-20, struct.pack("<I", 1 << 30), "depth is of 1073741824x24 pixels"),
        (-12, struct.pack("<f", 0), "compressed in ways"),
        (-20, struct.pack("<I", 16), "depth of 769 bytes; needed 768 for 16x24"),
    ],
)
def test_a_sens_file_with_another_header(
    made: dict[str, Made], tmp_path: Path, at: int, value: bytes, found: str
) -> None:
    data = bytearray(made["scannet_sens"].truth.read_bytes())
    end = 12 + len(b"StructureSensor") + 4 * 64 + 36
    start = at if at >= 0 else end + at
    data[start : start + len(value)] = value
    (tmp_path / "a.sens").write_bytes(data)
    with pytest.raises(InputError, match=found):
        _ = open_dataset(tmp_path / "a.sens")[0]


def test_eth3d_keeps_the_radial_lens(made: dict[str, Made]) -> None:
    camera = open_dataset(made["eth3d"].path)[0].camera
    assert camera.distortion_model == "equidistant"
    assert camera.D == (-0.1, 0.02, 0.001, -0.002)


def test_eth3d_with_another_camera_model(made: dict[str, Made], tmp_path: Path) -> None:
    root = copied(made["eth3d"], tmp_path / "data")
    path = root / "courtyard/dslr_calibration_jpg/cameras.txt"
    save_text(path, f"0 PINHOLE {WIDTH} {HEIGHT} 30 31 15.75 12")
    assert not open_dataset(root)[0].camera.distorted
    save_text(path, f"0 OPENCV {WIDTH} {HEIGHT} 30 31 15.75 12 0 0 0 0")
    with pytest.raises(InputError, match=r"cameras\.txt: 8 parameters of 'OPENCV'"):
        _ = open_dataset(root)[0]


def test_tum_rgbd_pairs_the_nearest_in_time(made: dict[str, Made], tmp_path: Path) -> None:
    """An image further than 20 ms from any depth that is left has none."""
    dataset = open_dataset(made["tum_rgbd"].path)
    assert dataset.stamp_ns(0) == pytest.approx(1305031102175304000, abs=1000)
    assert dataset[0].camera.D == (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
    assert dataset[1].T_world_camera is None
    root = copied(made["tum_rgbd"], tmp_path / "data") / "rgbd_dataset_freiburg1_xyz"
    save_text(root / "rgb.txt", "1.000 rgb/a.png", "1.010 rgb/b.png", "1.100 rgb/c.png")
    save_text(root / "depth.txt", "1.012 depth/a.png", "1.121 depth/b.png")
    [item] = open_dataset(root).ids
    assert item.endswith("/b")
    save_text(root / "depth.txt", "1.012 depth/a.png", "1.019 depth/b.png", "1.081 depth/c.png")
    dataset = open_dataset(root)
    assert [name[-1] for name in dataset.ids] == ["a", "b", "c"]
    np.testing.assert_array_equal(dataset[0].depth, dataset.read_item(dataset._items[0], 0).depth)
    assert [dataset._items[index].files["depth"].stem for index in range(3)] == ["b", "a", "c"]
    assert open_dataset(root.rename(root.with_name("freiburg3_a")))[0].camera.K[0, 0] == 535.4
    assert open_dataset(root.with_name("freiburg3_a").rename(root.with_name("mine")))[0].camera.K[0, 0] == 525


def test_tum_rgbd_reads_no_file_outside_the_folder(made: dict[str, Made], tmp_path: Path) -> None:
    root = copied(made["tum_rgbd"], tmp_path / "data")
    save_text(root / "rgbd_dataset_freiburg1_xyz/rgb.txt", "1305031102.175304 ../../a.png")
    with pytest.raises(InputError, match=r"rgb\.txt: a file that leads out of the folder"):
        open_dataset(root)


def test_c3vd_fits_the_calibration_to_a_quarter_of_a_pixel(made: dict[str, Made]) -> None:
    """The rays of the authors' loader, without their roll, land where the fitted camera says."""
    frame = open_dataset(made["c3vd"].path)[0]
    radius, angle = np.linspace(1, 790, 60), np.linspace(0, 6, 60)
    z = 769.243600037458 - 0.000812770624150226 * radius**2 + 6.25674244578925e-07 * radius**3
    z -= 1.19662182144280e-09 * radius**4
    uv = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    found, _ = project(np.column_stack([uv, z]), frame.camera)
    centre = np.array([678.544839263292, 542.975887548343])
    wanted = (uv + centre + 0.5) * (WIDTH / 1350, HEIGHT / 1080) - 0.5
    np.testing.assert_allclose(found, wanted, atol=0.25 * WIDTH / 1350)


def test_arkitscenes_without_laser_depth(made: dict[str, Made], tmp_path: Path) -> None:
    """As for object detection: the LiDAR's depth counts where its confidence is full."""
    folder = tmp_path / "3dod/Training/41048190/41048190_frames"
    name = "41048190_3353.397.png"
    save(folder / "lowres_wide" / name, image_of(0)[..., ::-1])
    save(folder / "lowres_depth" / name, np.rint(depth_of(0) * 1000).astype(np.uint16))
    save(
        folder / "confidence" / name,
        np.repeat([[2, 1]], HEIGHT * WIDTH // 2).reshape(HEIGHT, WIDTH).astype(np.uint8),
    )
    frame = open_dataset(f"arkitscenes@train:{tmp_path}")[0]
    assert np.isnan(frame.depth[HEIGHT // 2 :]).all() and np.isfinite(frame.depth[:12, 10:]).all()
    assert frame.camera is None and frame.sparse_depth is None and frame.T_world_camera is None
    assert frame.stamp_ns == 3353397000000


def test_arkitscenes_for_upsampling_has_no_intrinsics(made: dict[str, Made], tmp_path: Path) -> None:
    source = made["arkitscenes"].path / "raw/Validation/41069021"
    video = tmp_path / "upsampling/Training/41069021"
    for ours, theirs in {
        "color": "wide",
        **{n: n for n in ("highres_depth", "lowres_depth", "confidence")},
    }.items():
        shutil.copytree(source / theirs, video / ours)
    assert DATASETS["arkitscenes"].recognises(tmp_path)
    frame = open_dataset(f"arkitscenes@train:{tmp_path}")[0]
    assert frame.camera is None and frame.sparse_depth is not None
    np.testing.assert_array_equal(frame.depth, made["arkitscenes"].depths[0])


def test_arkitscenes_with_intrinsics_of_another_picture(made: dict[str, Made], tmp_path: Path) -> None:
    root = copied(made["arkitscenes"], tmp_path / "data")
    save_text(next(root.rglob("*.pincam")), "256 192 200 200 128 96")
    with pytest.raises(InputError, match=r"\.pincam: of 256x192 pixels; needed those of the image"):
        _ = open_dataset(root)[0]


# ---- readers -------------------------------------------------------------------------------------


def tiff(**tags: int) -> bytes:
    """Header of a TIFF with one directory."""
    numbers = {"width": 256, "height": 257, "channels": 277}
    entries = [struct.pack("<HHII", numbers[name], 4, 1, value) for name, value in tags.items()]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (tiff(width=1 << 30, height=1 << 30), "is of 1073741824x1073741824 pixels"),
        (tiff(width=4, height=4, channels=3), "has 3 channels"),
        (tiff(width=4, height=4), "cannot be decoded"),
        (b"II*\0\xff\xff\xff\xff", "is cut short"),
        (b"II*\0", "is cut short"),
    ],
)
def test_tiff_is_checked_before_it_is_decoded(tmp_path: Path, data: bytes, found: str) -> None:
    (tmp_path / "a.tiff").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.tiff: {found}"):
        read_codes(tmp_path / "a.tiff")


@pytest.mark.parametrize("text", ["1 2 3", "1 2 3 a", "1 2 3 nan", "1 2 3 1e300", "", "1 2\n3 4 5"])
def test_numbers_are_as_many_as_needed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.txt: .*needed"):
        read_numbers(path, 2, 2)


def test_tables_have_comments_and_equal_rows(tmp_path: Path) -> None:
    path = save_text(tmp_path / "a.txt", "# x, y", "1, 2", "", "3 4")
    assert read_table(path, 2).tolist() == [[1, 2], [3, 4]]
    save_text(path, "1 2 3", "4")
    with pytest.raises(InputError, match=r"a\.txt: rows of other lengths; needed rows of 2 numbers"):
        read_table(path, 2)


def test_a_pose_is_from_the_camera_to_the_world() -> None:
    assert not np.allclose(POSE, np.linalg.inv(POSE)) and np.allclose(POSE @ np.linalg.inv(POSE), EYE)


# ---- what a user is told -------------------------------------------------------------------------


def test_the_page_has_the_table_that_the_verb_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change: metric_depth datasets, and its output into docs/datasets.md."""
    assert main(["datasets"]) == 0
    table = capsys.readouterr().out
    page = (Path(__file__).parents[2] / "docs/datasets.md").read_text()
    assert table == page[page.index("| NAME |") :]
    assert all(f"| `{name}` |" in table for name in PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_dataset_says_what_it_is(name: str) -> None:
    kind = PUBLISHED[name]
    assert kind.title and kind.layout and kind.licence and kind.url.startswith("http")
    assert kind.__doc__ and not kind.__doc__.startswith("Published")
    assert len(set(kind.splits)) == len(kind.splits) > 0
    assert kind.limits_m is None or 0 < kind.limits_m[0] < kind.limits_m[1]


def test_a_dataset_goes_into_a_bag_and_through_run(made: dict[str, Made], tmp_path: Path) -> None:
    source = made["nyuv2"].path
    assert main(["frames-to-bag", f"nyuv2@train:{source}", str(tmp_path / "a.mcap")]) == 0
    assert main(["run", str(source), "--out", str(tmp_path / "out"), "--no-bag", "--previews", "0"]) == 0
