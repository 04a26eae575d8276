"""Datasets of driving in their real layouts: what is read, and what can be wrong with their files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from driving_sets import (
    CAMERA,
    CODES,
    DAY,
    DRIVE,
    HEIGHT,
    IMAGE,
    MAKERS,
    METRES_256,
    NEED_EXR,
    T_CAMERA_LIDAR,
    T_WORLD_CAMERA,
    WIDTH,
    K,
    Made,
    T_camera_velo,
    T_world_vkitti,
    grid_points,
    inverse,
    write_json,
    write_png,
    write_synthia_rand,
    write_text,
)

from metric_depth_ros.datasets import DATASETS, address, is_dataset, open_dataset
from metric_depth_ros.datasets.published import PublishedDataset
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import transform_points

LOSSY = ("vkitti2",)  # its pictures are JPEG


def make(name: str, root: Path) -> Made:
    if name in NEED_EXR:
        pytest.importorskip("OpenEXR")
    return MAKERS[name](root)


@pytest.mark.parametrize("name", MAKERS)
def test_a_dataset_reads_as_it_was_written(tmp_path: Path, name: str) -> None:
    made = make(name, tmp_path / "set")
    data = open_dataset(made.path)
    assert type(data) is DATASETS[name]
    frame = data[0]
    if name not in LOSSY:
        np.testing.assert_array_equal(frame.image, IMAGE)
    np.testing.assert_allclose(frame.depth, made.depth, rtol=2e-5)
    assert frame.depth.dtype == np.float32
    assert frame.depth_is_sweep == (name in {"kitti_raw", "ddad", "nuscenes"})
    if frame.camera is not None:
        assert (frame.camera.width, frame.camera.height) == (WIDTH, HEIGHT)
    assert len(set(data.ids)) == len(data)
    assert data.has_depth(0)
    # To train on, the sky is infinitely far.
    sky = np.zeros(made.depth.shape, bool) if frame.sky is None else frame.sky
    np.testing.assert_array_equal(data.picture(0).depth, np.where(sky, np.inf, frame.depth))


@pytest.mark.parametrize("name", MAKERS)
def test_only_its_own_class_recognises_a_dataset(tmp_path: Path, name: str) -> None:
    path = make(name, tmp_path / "set").path
    assert [other for other, kind in DATASETS.items() if kind.recognises(path)] == [name]


@pytest.mark.parametrize("name", MAKERS)
def test_a_name_and_a_split_open_a_dataset_without_looking(tmp_path: Path, name: str) -> None:
    path = make(name, tmp_path / "set").path
    kind = DATASETS[name]
    assert issubclass(kind, PublishedDataset)
    data = open_dataset(f"{name}@{kind.splits[0]}:{path}")
    assert data.ids == open_dataset(f"{name}:{path}").ids
    with pytest.raises(InputError, match="no split 'nothing' of"):
        open_dataset(f"{name}@nothing:{path}")


@pytest.mark.parametrize("name", MAKERS)
def test_an_address_opens_the_same_split_from_anywhere(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(name, tmp_path / "set").path
    kind = DATASETS[name]
    assert issubclass(kind, PublishedDataset)
    monkeypatch.chdir(tmp_path)
    for split in ("train", "clone", "front", kind.splits[0]):
        if split in kind.splits:
            data = open_dataset(f"{name}@{split}:{path.relative_to(tmp_path)}")
            opened = address(data)
            monkeypatch.chdir("/")
            again = open_dataset(opened)
            assert (again.ids, again.path) == (data.ids, path)
            monkeypatch.chdir(tmp_path)


def test_an_address_names_lists_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = MAKERS["nuscenes"](tmp_path / "set").path
    monkeypatch.chdir(write_text(tmp_path / "val.txt", "scene-0062\n").parent)
    data = open_dataset(f"nuscenes@val.txt:{path}")
    assert address(data) == f"nuscenes@{tmp_path / 'val.txt'}:{path}"


@pytest.mark.parametrize("name", MAKERS)
def test_an_empty_folder_is_told_where_to_get_the_data(tmp_path: Path, name: str) -> None:
    kind = DATASETS[name]
    assert issubclass(kind, PublishedDataset)
    with pytest.raises(InputError) as error:
        open_dataset(f"{name}:{tmp_path}")
    for words in (str(tmp_path), kind.title, kind.url, kind.licence):
        assert words in str(error.value)


@pytest.mark.parametrize("place", ["x" * 5000, "a\0b"])
def test_a_path_that_no_file_can_have_is_refused(place: str) -> None:
    for name in ("", *(f"{name}:" for name in DATASETS)):
        with pytest.raises(InputError, match="no file can be named so"):
            open_dataset(name + place)
    assert not is_dataset(place)
    with pytest.raises(InputError, match="no split"):
        open_dataset(f"kitti_raw@{place}:.")


# ---- damage ----------------------------------------------------------------------------------


def cut(path: Path, kind: str) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 1])


def emptied(path: Path, kind: str) -> None:
    path.write_bytes(b"")


def other(path: Path, kind: str) -> None:
    path.write_bytes(b"\x00\xff something else: [\n" * 40)


def smaller(path: Path, kind: str) -> None:
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), values[:-1, :-2])


def of_another_type(path: Path, kind: str) -> None:
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), values.astype(np.uint8 if kind == "codes" else np.uint16))


def missing(path: Path, kind: str) -> None:
    path.unlink()


def of_odd_values(path: Path, kind: str) -> None:
    """All numbers and texts of a JSON are replaced by lists."""

    def odd(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: odd(each) for key, each in value.items()}
        return [odd(each) for each in value] if isinstance(value, list) else [None]

    path.write_text(json.dumps(odd(json.loads(path.read_text()))))


DAMAGE = {
    cut: ("picture", "codes", "labels", "colours", "exr", "json", "points", "npz"),
    emptied: ("picture", "codes", "labels", "colours", "exr", "json", "yaml", "text", "npz"),
    other: ("picture", "codes", "labels", "colours", "exr", "json", "yaml", "text", "npz"),
    smaller: ("codes", "labels", "colours"),
    of_another_type: ("codes", "labels", "colours"),
    of_odd_values: ("json",),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    made = make(name, tmp_path / "set")
    tried = 0
    for file, kind in made.files.items():
        path = made.path / file
        whole = path.read_bytes()
        for damage, kinds in DAMAGE.items():
            if kind not in kinds:
                continue
            damage(path, kind)
            with pytest.raises(InputError) as error:
                open_dataset(f"{name}:{made.path}")[0]
            assert path.name in str(error.value), f"{damage.__name__} {file}: {error.value}"
            path.write_bytes(whole)
            tried += 1
    assert tried >= 5
    open_dataset(f"{name}:{made.path}")[0]


# What a frame may lack: it is read without.
OPTIONAL = {
    "kitti_raw": ("calib_velo_to_cam.txt", ".bin", "oxts"),
    "urbansyn": ("ss_0001.png", "camera_metadata.json"),
    "vkitti2": ("classgt_00000.png", "intrinsic.txt", "extrinsic.txt"),
    "synthia": ("GT/LABELS", "intrinsics.txt"),
    "cityscapes": ("labelIds.png",),
}


@pytest.mark.parametrize("name", MAKERS)
def test_odd_values_are_read_or_named(tmp_path: Path, name: str) -> None:
    """Of JSON and YAML anything may be anything else, from a fixed seed; of other files some bytes change."""
    made, random = make(name, tmp_path / "set"), np.random.default_rng(0)
    for file, kind in made.files.items():
        path = made.path / file
        whole = path.read_bytes()
        for _ in range(6):
            path.write_bytes(changed(whole, kind, random))
            problem_of(f"{name}:{made.path}", set())
        path.write_bytes(whole)


ODD: tuple[Any, ...] = (
    "text", "", [], [1, [2]], {"a": 1}, True, None, float("inf"), -1, 0, 1e300, "../x", "/etc/passwd",
    "a\0b", ".",
)  # fmt: skip


def changed(whole: bytes, kind: str, random: np.random.Generator) -> bytes:
    """A file with one odd value in its tree, or with three other bytes."""
    if kind not in ("json", "yaml"):
        data = bytearray(whole)
        for at in random.integers(0, len(data), 3).tolist():
            data[at] = int(random.integers(0, 256))
        return bytes(data)
    tree = yaml.safe_load(whole) if kind == "yaml" else json.loads(whole)
    part, keys = tree, list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    while True:
        key = keys[int(random.integers(len(keys)))]
        inner = part[key]
        if not isinstance(inner, (dict, list)) or not inner or random.random() < 0.2:
            part[key] = ODD[int(random.integers(len(ODD)))]
            return json.dumps(tree).encode()  # which is YAML too
        part, keys = inner, list(inner) if isinstance(inner, dict) else list(range(len(inner)))


@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_file_is_named_or_done_without(tmp_path: Path, name: str) -> None:
    made = make(name, tmp_path / "set")
    names = set(open_dataset(made.path).ids)
    for file, kind in made.files.items():
        path = made.path / file
        whole = path.read_bytes()
        path.unlink()
        problem = problem_of(f"{name}:{made.path}", names)
        none_is_left = problem == "fewer" or (kind == "picture" and "no frame of" in problem)
        done_without = not problem and any(each in file for each in OPTIONAL.get(name, ()))
        assert path.name in problem or none_is_left or done_without, f"{file}: {problem}"
        path.write_bytes(whole)


def problem_of(opened: str, names: set[str]) -> str:
    """What is wrong with a dataset's first frame; "fewer" if frames are missing; or nothing."""
    try:
        data = open_dataset(opened)
        data[0]
    except InputError as error:
        return str(error)
    return "" if set(data.ids) == names else "fewer"


@pytest.mark.parametrize("name", NEED_EXR)
def test_without_openexr_the_extra_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for image, depth in (("rgb/rgb_1.png", "depth/depth_1.exr"), ("0/images/0.png", "0/depths/0.exr")):
        write_png(tmp_path / image, IMAGE)
        write_text(tmp_path / depth, "")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(InputError, match=r"OpenEXR is not installed.*metric_depth_ros\[datasets\]"):
        open_dataset(f"{name}:{tmp_path}")[0]


def test_an_exr_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    made = make("urbansyn", tmp_path / "set")
    path = made.path / "depth/depth_0001.exr"
    data = path.read_bytes()
    small = np.array([0, 0, WIDTH - 1, HEIGHT - 1], "<i4").tobytes()
    assert small in data
    path.write_bytes(data.replace(small, np.array([0, 0, 90_000, 90_000], "<i4").tobytes()))
    with pytest.raises(InputError, match=r"depth_0001\.exr"):
        open_dataset(made.path)[0]


# ---- KITTI -----------------------------------------------------------------------------------


def test_kitti_raw_has_sweeps_poses_and_times(tmp_path: Path) -> None:
    data = open_dataset(MAKERS["kitti_raw"](tmp_path / "set").path)
    assert data.ids == [f"{DRIVE}_02_{number:010d}" for number in (69, 70)]
    assert data.has_one_rig
    first, second = data[0], data[1]
    np.testing.assert_allclose(first.camera.K, K)
    np.testing.assert_allclose(first.T_camera_lidar, T_camera_velo(), atol=1e-9)
    np.testing.assert_allclose(
        transform_points(first.T_camera_lidar, first.points_lidar), grid_points(), atol=1e-4
    )
    # 13:02:31.964389445 is the 70th time. The car, which faces north, went north: forward.
    assert first.stamp_ns == 1317042151_964389445
    assert second.stamp_ns == 1317042152_064389445
    moved = inverse(first.T_world_camera) @ second.T_world_camera
    assert np.linalg.norm(moved[:3, 3]) == pytest.approx(np.radians(1e-5) * 6378137, rel=1e-3)
    np.testing.assert_allclose(moved[:3, :3], np.eye(3), atol=1e-9)
    T_imu_camera = inverse(T_camera_velo())[:3, :3]  # the IMU is turned as the LiDAR
    forward = (T_imu_camera @ moved[:3, 3]) / np.linalg.norm(moved[:3, 3])
    np.testing.assert_allclose(forward, [1, 0, 0], atol=1e-6)


LISTS = {
    "monodepth2": f"{DAY}/{DRIVE} 0000000070 l\n{DAY}/{DRIVE} 69 r\n",
    "BTS": (
        f"{DAY}/{DRIVE}/image_02/data/0000000070.png "
        f"{DRIVE}/proj_depth/groundtruth/image_02/0000000070.png 721.5377\n"
        f"{DAY}/{DRIVE}/image_03/data/0000000069.png None 721.5377\n"
    ),
    "monodepth": "".join(
        f"{DAY}/{DRIVE}/image_0{own}/data/{number}.jpg {DAY}/{DRIVE}/image_0{5 - own}/data/{number}.jpg\n"
        for own, number in ((2, "0000000070"), (3, "0000000069"))
    ),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("place", ["eigen_test_files.txt", "splits/eigen/test_files.txt"])
def test_lists_of_the_eigen_split_are_read_in_their_usual_forms(
    tmp_path: Path, kind: str, place: str
) -> None:
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    listed = write_text(path / place, LISTS[kind])
    for opened in (f"kitti_raw@eigen_test:{path}", f"kitti_raw@{listed}:{path}"):
        data = open_dataset(opened)
        assert data.ids == [f"{DRIVE}_02_0000000070", f"{DRIVE}_03_0000000069"]
        assert not data.has_one_rig
        right = data[1]
        assert right.T_camera_lidar[0, 3] == pytest.approx(T_camera_velo()[0, 3] - 0.54)


@pytest.mark.parametrize("line", ["nonsense", f"{DAY}/{DRIVE}", f"{DRIVE} 12", "x" * 5000])
def test_a_line_that_names_no_frame_is_refused(tmp_path: Path, line: str) -> None:
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    write_text(path / "eigen_test_files.txt", line)
    with pytest.raises(InputError, match=r"eigen_test_files\.txt: .*needed DAY/DRIVE"):
        open_dataset(f"kitti_raw@eigen_test:{path}")


def test_without_a_list_its_names_are_told(tmp_path: Path) -> None:
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    with pytest.raises(
        InputError, match=r"no list of eigen_test_improved; needed one of eigen_test_files\.txt"
    ):
        open_dataset(f"kitti_raw@eigen_test_improved:{path}")


@pytest.mark.parametrize("place", ["data_depth_annotated/val", "../data_depth_annotated/train", "train", DAY])
def test_improved_ground_truth_is_found_and_only_used_where_it_belongs(tmp_path: Path, place: str) -> None:
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    write_text(path / "eigen_test_files.txt", LISTS["monodepth2"])
    truth = path / place / DRIVE / "proj_depth/groundtruth/image_02/0000000070.png"
    write_png(truth, CODES)
    improved = open_dataset(f"kitti_raw@eigen_test_improved:{path}")
    assert improved.ids == [f"{DRIVE}_02_0000000070"]
    np.testing.assert_allclose(improved[0].depth, np.where(CODES > 0, CODES / 256, np.nan))
    swept = open_dataset(f"kitti_raw@eigen_test:{path}")
    assert len(swept) == 2
    assert swept[0].depth[0, 0] == pytest.approx(5, rel=1e-4)
    assert swept[0].depth_is_sweep and not improved[0].depth_is_sweep


def test_crops_are_those_of_the_papers(tmp_path: Path) -> None:
    """Figures of Garg et al. and Eigen et al. for a picture of 375x1242."""
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    listed = write_text(path / "eigen_test_files.txt", LISTS["monodepth2"])
    for whole in ("all", listed):
        data = open_dataset(f"kitti_raw@{whole}:{path}")
        assert data.evaluated(data[0]) is None
    for split, box in (("eigen_test", (153, 371, 44, 1197)), ("eigen_test_eigen_crop", (124, 342, 44, 1197))):
        data = open_dataset(f"kitti_raw@{split}:{path}")
        frame = data[0]
        object.__setattr__(frame, "image", np.zeros((375, 1242, 3), np.uint8))
        mask = data.evaluated(frame)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == box
        assert mask.sum() == (box[1] - box[0]) * (box[3] - box[2])


def test_pictures_of_another_size_than_the_calibration_are_refused(tmp_path: Path) -> None:
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    write_png(path / DAY / DRIVE / "image_02/data/0000000069.png", IMAGE[:-1])
    with pytest.raises(InputError, match=r"calib_cam_to_cam\.txt: S_rect_02 40x24, but a picture is 40x23"):
        open_dataset(path)[0]


def test_converted_pictures_are_read(tmp_path: Path) -> None:
    path = MAKERS["kitti_raw"](tmp_path / "set").path
    for png in path.rglob("*.png"):
        cv2.imwrite(str(png.with_suffix(".jpg")), cv2.imread(str(png)))
        png.unlink()
    data = open_dataset(path)
    assert len(data) == 2
    assert data[0].image.shape == IMAGE.shape


@pytest.mark.parametrize("split", ["val_selection", "val", "train", "test"])
def test_kitti_completion_has_sparse_depth(tmp_path: Path, split: str) -> None:
    path = MAKERS["kitti_completion"](tmp_path / "set").path
    data = open_dataset(f"kitti_completion@{split}:{path}")
    frame = data[0]
    np.testing.assert_allclose(frame.camera.K, K)
    sparse = np.where((METRES_256 % 4 == 0) & (METRES_256 > 0), METRES_256 / 256, np.nan)
    np.testing.assert_allclose(frame.sparse_depth, sparse)
    assert data.has_depth(0) is (split != "test")
    if split == "test":
        assert frame.depth is None
    else:
        np.testing.assert_allclose(frame.depth, np.where(METRES_256 > 0, METRES_256 / 256, np.nan))
    if split == "train":
        assert open_dataset(f"kitti_completion@train:{path}").ids == [
            f"{DRIVE}_image_02_000000000{number}" for number in (5, 6)
        ]


def test_without_the_pictures_of_kitti_raw_it_is_said_where_they_belong(tmp_path: Path) -> None:
    path = MAKERS["kitti_completion"](tmp_path / "set").path
    (path / "kitti_raw" / DAY / DRIVE / "image_02/data/0000000005.png").unlink()
    with pytest.raises(InputError, match=r"0000000005\.png: no such file; needed the picture, of KITTI raw"):
        open_dataset(f"kitti_completion@train:{path}")[0]


# ---- the others ------------------------------------------------------------------------------


def test_urbansyn_has_labels_a_sky_and_the_camera_of_its_metadata(tmp_path: Path) -> None:
    frame = open_dataset(make("urbansyn", tmp_path / "set").path)[0]
    assert frame.sky.sum() == (CODES > 50_000).sum() == (frame.regions == 10).sum()
    assert np.isnan(frame.depth[frame.sky]).all()
    np.testing.assert_allclose(frame.camera.K, [[20, 0, 19.5], [0, 20, 11.5], [0, 0, 1]])


def test_urbansyn_takes_a_list_of_pictures(tmp_path: Path) -> None:
    path = make("urbansyn", tmp_path / "set").path
    for names in ("rgb_0002\n", "rgb/rgb_0002.png\n\n", "0002\n9999\n"):
        listed = write_text(tmp_path / "test.txt", names)
        assert open_dataset(f"urbansyn@{listed}:{path}").ids == ["rgb_0002"]


def test_virtual_kitti_has_poses_labels_and_a_sky(tmp_path: Path) -> None:
    path = MAKERS["vkitti2"](tmp_path / "set").path
    data = open_dataset(path)
    assert data.ids == ["Scene01_clone_Camera_0_00000", "Scene01_clone_Camera_0_00001"]
    assert len(open_dataset(f"vkitti2@stereo:{path}")) == 4
    assert len(open_dataset(f"vkitti2@clone:{path}")) == 2
    with pytest.raises(InputError, match="no frame of Virtual KITTI 2"):
        open_dataset(f"vkitti2@fog:{path}")
    first, second = data[0], data[1]
    np.testing.assert_allclose(first.camera.K, K)
    np.testing.assert_allclose(first.T_world_camera, T_world_vkitti(), atol=1e-9)
    moved = inverse(first.T_world_camera) @ second.T_world_camera
    np.testing.assert_allclose(moved[:3, 3], [0, 0, 1], atol=1e-9)
    np.testing.assert_array_equal(first.regions, np.tile([1, 0], (HEIGHT, WIDTH // 2)))
    assert first.sky.sum() == (CODES > 50_000).sum()


def test_virtual_kitti_in_one_folder_is_read(tmp_path: Path) -> None:
    parts = MAKERS["vkitti2"](tmp_path / "parts").path
    one = tmp_path / "one"
    for part in parts.iterdir():
        for file in (each for each in part.rglob("*") if each.is_file()):
            there = one / file.relative_to(part)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(file.read_bytes())
    data = open_dataset(one)
    assert len(data) == 2
    np.testing.assert_allclose(data[0].camera.K, K)


def test_synthia_takes_depth_of_any_channel_and_the_class_of_the_first(tmp_path: Path) -> None:
    path = MAKERS["synthia"](tmp_path / "set").path
    frame = open_dataset(path)[0]
    np.testing.assert_allclose(frame.camera.K, [[20, 0, 19.5], [0, 20, 11.5], [0, 0, 1]])
    assert frame.sky.sum() == (CODES > 50_000).sum()
    assert frame.regions.max() <= 11
    assert len(open_dataset(f"synthia@all:{path}")) == 2
    depth = path / "SYNTHIA-SEQS-01-DAWN/Depth/Stereo_Left/Omni_F/000000.png"
    write_png(depth, np.stack([np.zeros_like(CODES), np.zeros_like(CODES), CODES], axis=-1))
    np.testing.assert_array_equal(open_dataset(path)[0].depth, frame.depth)


def test_synthia_of_random_pictures_is_read(tmp_path: Path) -> None:
    made = write_synthia_rand(tmp_path)
    data = open_dataset(made.path)
    assert (len(data), data[0].camera) == (1, None)
    np.testing.assert_allclose(data[0].depth, made.depth, rtol=2e-5)


def test_the_game_s_world_becomes_right_handed_and_metric(tmp_path: Path) -> None:
    data = open_dataset(make("mvs_synth", tmp_path / "set").path)
    frame = data[0]
    assert frame.sky.sum() == (CODES > 50_000).sum()
    assert np.linalg.det(frame.T_world_camera[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(frame.T_world_camera[:3, 3], [3, 1, -2], atol=1e-6)
    assert [data.scene(index) for index in range(3)] == [0, 0, 1]


def test_intrinsics_of_a_larger_picture_are_scaled(tmp_path: Path) -> None:
    path = make("mvs_synth", tmp_path / "set").path
    file = path / "0000/poses/0000.json"
    told = json.loads(file.read_text())
    write_json(file, {**told, "f_x": 40.0, "f_y": 42.0, "c_x": 40.0, "c_y": 24.0})
    np.testing.assert_allclose(open_dataset(path)[0].camera.K, [[20, 0, 20], [0, 21, 12], [0, 0, 1]])


@pytest.mark.parametrize("split", ["train", "val"])
def test_cityscapes_has_labels_and_a_sky(tmp_path: Path, split: str) -> None:
    path = MAKERS["cityscapes"](tmp_path / "set").path
    data = open_dataset(f"cityscapes@{split}:{path}")
    assert data.ids == ["aachen_000000_000019", "bochum_000000_000313"]
    frame = data[0]
    np.testing.assert_allclose(frame.camera.K, K)
    assert frame.sky.sum() == (frame.regions == 23).sum() == (CODES > 50_000).sum()


def test_dsec_has_times_and_only_frames_with_disparity(tmp_path: Path) -> None:
    path = MAKERS["dsec"](tmp_path / "set").path
    data = open_dataset(path)
    assert len(data) == 4
    assert data[1].id == "interlaken_00_c_000002"
    assert [data.stamp_ns(index) for index in (0, 1)] == [49599300523000, 49599400523000]
    np.testing.assert_allclose(data[0].camera.K, K)


@pytest.mark.parametrize("place", ["", "train"])
def test_dsec_in_one_folder_is_read(tmp_path: Path, place: str) -> None:
    parts = MAKERS["dsec"](tmp_path / "parts").path
    one = tmp_path / "one"
    for part in parts.iterdir():
        for file in (each for each in part.rglob("*") if each.is_file()):
            there = one / place / file.relative_to(part)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(file.read_bytes())
    assert len(open_dataset(one)) == 4
    np.testing.assert_allclose(open_dataset(one)[0].camera.K, K)


def test_diml_has_four_kinds_and_drops_what_is_unsure(tmp_path: Path) -> None:
    path = MAKERS["diml"](tmp_path / "set").path
    assert len(open_dataset(path)) == 4
    assert len(open_dataset(f"diml@indoor:{path}")) == 2
    outdoor = open_dataset(f"diml@outdoor:{path}")
    sure = [int(np.isnan(outdoor[index].depth).sum()) for index in range(2)]
    assert sure == [WIDTH + 1, 1]


@pytest.mark.parametrize("name", ["ddad", "nuscenes"])
def test_clouds_are_moved_by_what_the_car_drove(tmp_path: Path, name: str) -> None:
    data = open_dataset(MAKERS[name](tmp_path / "set").path)
    frame = data[0]
    np.testing.assert_allclose(frame.camera.K, CAMERA.K)
    np.testing.assert_allclose(frame.T_camera_lidar, T_CAMERA_LIDAR, atol=1e-7)
    np.testing.assert_allclose(frame.T_world_camera, T_WORLD_CAMERA, atol=1e-7)
    np.testing.assert_allclose(
        transform_points(frame.T_camera_lidar, frame.points_lidar), grid_points(), atol=1e-4
    )
    assert not data.has_one_rig


def test_ddad_has_splits_cameras_and_times(tmp_path: Path) -> None:
    path = MAKERS["ddad"](tmp_path / "set").path
    assert open_dataset(path).ids == ["000150_0000_CAMERA_01", "000150_0001_CAMERA_01"]
    assert open_dataset(f"ddad@train:{path}").ids[0] == "000000_0000_CAMERA_01"
    assert len(open_dataset(f"ddad@val_all:{path / 'ddad.json'}")) == 4
    assert open_dataset(path).stamp_ns(1) == 1557880731203752000


def test_ddad_reads_clouds_with_named_fields(tmp_path: Path) -> None:
    path = MAKERS["ddad"](tmp_path / "set").path
    before = open_dataset(path)[0]
    file = path / "000150/point_cloud/LIDAR/15569195938203750.npz"
    fields = np.zeros((len(before.points_lidar), 1), [(name, "<f4") for name in ("INTENSITY", "X", "Y", "Z")])
    for axis, values in zip("XYZ", before.points_lidar.T, strict=True):
        fields[axis][:, 0] = values
    np.savez(file, data=fields)
    np.testing.assert_array_equal(open_dataset(path)[0].points_lidar, before.points_lidar)


@pytest.mark.parametrize("name", ["../../outside.png", "/etc/hostname"])
def test_no_file_outside_of_ddad_is_read(tmp_path: Path, name: str) -> None:
    path = MAKERS["ddad"](tmp_path / "set").path
    file = path / "000150/scene_000150a8dc.json"
    file.write_text(file.read_text().replace("rgb/CAMERA_01/15569195938203750.png", name))
    with pytest.raises(InputError, match="leads out of the folder"):
        open_dataset(path)[0]


def test_nuscenes_takes_key_frames_of_one_camera_or_all_and_lists_of_scenes(tmp_path: Path) -> None:
    path = MAKERS["nuscenes"](tmp_path / "set").path
    assert open_dataset(path).ids == [
        "scene-0061_CAM_FRONT_1532402927647461",
        "scene-0062_CAM_FRONT_1532402927647462",
    ]
    assert len(open_dataset(f"nuscenes@all_cameras:{path}")) == 4
    listed = write_text(tmp_path / "val.txt", "scene-0062\nscene-0999\n")
    assert open_dataset(f"nuscenes@{listed}:{path}").ids == ["scene-0062_CAM_FRONT_1532402927647462"]
    assert open_dataset(path).stamp_ns(0) == 1532402927647461000


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_tables_are_read_in_blocks_of_any_size(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = MAKERS["nuscenes"](tmp_path / "set").path
    monkeypatch.setattr("metric_depth_ros.datasets.nuscenes._BLOCK", block)
    assert len(open_dataset(path)) == 2


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "[{]", '[{"token": "a"}', "[" * 100_000, '{"a": [1', "\x00", '["a"]']
)
def test_a_table_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = MAKERS["nuscenes"](tmp_path / "set").path
    (path / "v1.0-mini/sample_data.json").write_text(text)
    with pytest.raises(InputError, match=r"sample_data\.json"):
        open_dataset(path)
