"""The synthetic data set: reproducible samples, shards on disk, camera paths, the command and its bag."""

from __future__ import annotations

import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex")

from metric_depth_ros import messages
from metric_depth_ros.bags import open_bag, read_depths, read_messages
from metric_depth_ros.cli.main import main
from metric_depth_ros.datasets import FrameFolder, open_dataset
from metric_depth_ros.datasets.shard_layout import (
    Scan,
    decode_depth,
    decode_normals,
    encode_depth,
    encode_normals,
)
from metric_depth_ros.datasets.shards import ShardReader, shard_sizes
from metric_depth_ros.drawing.scales import BAR_WIDTH, TITLE_HEIGHT
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import project, transform_points
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.make_shards import write_shard
from metric_depth_synthetic.mesh import box, placed, slab
from metric_depth_synthetic.render import World
from metric_depth_synthetic.scene import Material, Motion, Scene, Station
from metric_depth_synthetic.sequence import START_NS, frames, scene_time_s
from metric_depth_synthetic.shard_writer import ShardWriter
from metric_depth_synthetic.textures import TextureBank, make_bank

TEXTURES = 80
SIZE = (96, 64)


@pytest.fixture(scope="module")
def bank() -> TextureBank:
    return make_bank(0, count=TEXTURES)


# ---- codes -----------------------------------------------------------------------------------


def test_depth_is_kept_to_a_ten_thousandth() -> None:
    depth = np.geomspace(0.05, 4000, 500_000).astype(np.float32).reshape(1000, 500)
    again = decode_depth(encode_depth(depth))
    assert np.abs(again / depth - 1).max() < 1e-4
    assert again.dtype == np.float32


def test_the_depth_code_is_the_documented_one() -> None:
    depth = np.array([[0.05, 4000.0, np.inf, 1.0, 0.01, 1e6]], np.float32)
    expected = [1, 65535, 0, 1 + round(65534 * np.log(1 / 0.05) / np.log(80000)), 1, 65535]
    assert encode_depth(depth).tolist() == [expected]
    assert np.isinf(decode_depth(np.array([0]))).all()


@pytest.mark.parametrize("wrong", [np.nan, 0.0, -1.0])
def test_depth_that_is_no_depth_is_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="not positive"):
        encode_depth(np.array([[1.0, wrong]], np.float32))


def test_normals_are_kept_to_half_a_degree() -> None:
    normals = np.random.default_rng(0).normal(size=(40, 50, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[:5] = 0
    again = decode_normals(encode_normals(normals))
    assert not again[:5].any()
    cosine = (again[5:] * normals[5:]).sum(-1) / np.linalg.norm(again[5:], axis=-1)
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 0.5


# ---- shards ----------------------------------------------------------------------------------


def depth_of(index: int) -> Any:
    return np.full((4, 6), 1.0 + index, np.float32)


def jpeg_of(index: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((4, 6, 3), (10, 20, index), np.uint8))[1])


def write(folder: Path, number: int, samples: Any, **more: Any) -> Path:
    with ShardWriter(folder, number) as shard:
        for index in samples:
            shard.write(index, jpeg_of(index), depth_of(index), {"family": "room", "index": index}, **more)
    return shard.path


def test_shards_read_as_they_were_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    more = {
        "labels": rng.integers(0, 20, (4, 6)).astype(np.uint8),
        "instances": rng.integers(0, 60_000, (4, 6)).astype(np.uint16),
        "normals": np.tile(np.array([1, 0, 0], np.float32), (4, 6, 1)),
    }
    scan = Scan(rng.normal(size=(5, 3)).astype(np.float32), np.arange(5), np.arange(5) > 3, np.eye(4))
    write(tmp_path, 0, [7], **more, scans={"lidar": scan, "radar": scan})
    names = zipfile.ZipFile(tmp_path / "shard_00000.zip").namelist()
    assert {"00000007.jpg", "00000007.depth.png", "00000007.json", "00000007.points.npz"} <= set(names)
    read = ShardReader(tmp_path).read(
        0, ("image", "jpeg", "depth", "info", "labels", "instances", "normals", "points")
    )
    assert read["image"].shape == (4, 6, 3) and np.abs(read["image"][0, 0] - [7.0, 20, 10]).max() < 4  # RGB
    assert read["jpeg"] == jpeg_of(7)
    np.testing.assert_allclose(read["depth"], 8.0, rtol=1e-4)
    assert read["info"] == {"family": "room", "index": 7}
    for name in more:
        np.testing.assert_allclose(read[name], more[name])
    assert list(read["points"]) == ["lidar", "radar"]
    for part in Scan.PARTS:
        np.testing.assert_array_equal(getattr(read["points"]["radar"], part), getattr(scan, part))


def test_a_shard_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 3) as shard:
        shard.write(0, jpeg_of(0), depth_of(0), {})
        assert shard_sizes(tmp_path) == {}
    assert shard_sizes(tmp_path) == {3: 1}
    with pytest.raises(InputError, match="not positive"):
        write(tmp_path, 4, [0, -1])
    assert [path.name for path in tmp_path.iterdir()] == ["shard_00003.zip"]


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, 0, range(3)) for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_reader_sees_shards_that_come_later_and_keeps_its_order(tmp_path: Path) -> None:
    write(tmp_path, 1, [10, 11])
    reader = ShardReader(tmp_path)
    assert len(reader) == 2
    write(tmp_path, 0, [0, 1, 2])
    assert len(reader) == 2 and reader.rescan() == 5 == len(reader)
    order = [reader.read(i, ("info",))["info"]["index"] for i in range(5)]
    assert order == [10, 11, 0, 1, 2]
    anew = ShardReader(tmp_path)
    assert [anew.read(i, ("info",))["info"]["index"] for i in range(5)] == [0, 1, 2, 10, 11]
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            reader.read(wrong)


def test_many_threads_may_read(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, number, range(10 * number, 10 * number + 10))
    reader = ShardReader(tmp_path)
    asked = np.random.default_rng(0).integers(0, 40, 800).tolist()
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: reader.read(i, ("depth", "info")), asked))
    for index, sample in zip(asked, read, strict=True):
        assert sample["info"]["index"] == index
        np.testing.assert_allclose(sample["depth"], depth_of(index), rtol=1e-4)


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"no shard_\*\.zip"):
            ShardReader(folder)


def test_damaged_shards_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, 0, range(3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=re.escape(str(path))):
        ShardReader(tmp_path)
    at = whole.index(b"\x89PNG") + 40
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    reader = ShardReader(tmp_path)
    assert reader.read(0, ("image",))["image"].shape == (4, 6, 3)
    with pytest.raises(InputError, match=r"shard_00000\.zip: 00000000\.depth\.png is not what was written"):
        reader.read(0, ("depth",))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("00000000.jpg", b"no picture")
    with pytest.raises(InputError, match=r"shard_00000\.zip: 00000000\.jpg cannot be decoded"):
        ShardReader(tmp_path).read(0, ("image",))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("00000000.jpg", jpeg_of(0))
    with pytest.raises(InputError, match="needed a stored zip"):
        ShardReader(tmp_path)


def test_a_shard_that_went_away_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, 0, range(1))
    reader = ShardReader(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"shard_00000\.zip: No such file"):
        reader.read(0)


def test_parts_that_were_not_rendered_are_told(tmp_path: Path) -> None:
    write(tmp_path, 0, [0])
    reader = ShardReader(tmp_path)
    assert reader.has(0, "depth") and not reader.has(0, "labels")
    with pytest.raises(InputError, match="--everything"):
        reader.read(0, ("labels",))


# ---- the data set ----------------------------------------------------------------------------


def test_a_sample_follows_from_seed_and_number_alone(bank: TextureBank) -> None:
    forward, back = (SyntheticDataset(seed=5, size=SIZE, views_per_scene=2, bank=bank) for _ in range(2))
    first = {index: forward[index] for index in (0, 1, 2, 9)}
    again = {index: back[index] for index in (9, 2, 1, 0)}
    for index, view in first.items():
        for part in ("image", "depth", "labels", "instances", "normals", "T_world_camera"):
            np.testing.assert_array_equal(getattr(view, part), getattr(again[index], part))
        np.testing.assert_array_equal(view.camera.K, again[index].camera.K)
        scans, others = forward.scans(index, view), back.scans(index, view)
        for name in scans:
            np.testing.assert_array_equal(scans[name].points, others[name].points)
    other = SyntheticDataset(seed=6, size=SIZE, views_per_scene=2, bank=bank)[0]
    assert not np.array_equal(other.depth, first[0].depth)
    assert not np.array_equal(first[0].depth, first[1].depth)


def test_scenes_take_turns_and_views_share_one(bank: TextureBank) -> None:
    dataset = SyntheticDataset(["room", "corridor"], 1, size=SIZE, views_per_scene=2, bank=bank)
    infos = [dataset.info(index, dataset[index]) for index in range(6)]
    assert [i["family"] for i in infos] == ["room", "room", "corridor", "corridor", "room", "room"]
    assert [i["scene"] for i in infos] == [0, 0, 1, 1, 2, 2]
    assert json.loads(json.dumps(infos)) == infos
    assert (infos[0]["width"], infos[0]["height"]) == SIZE


def test_the_aspect_ratio_can_vary(bank: TextureBank) -> None:
    dataset = SyntheticDataset(["room"], size=None, bank=bank)
    shapes = {dataset[index].image.shape[:2] for index in range(8)}
    assert len(shapes) > 1


@pytest.mark.parametrize("families", [["cellar"], []])
def test_unknown_families_are_refused(families: list[str]) -> None:
    with pytest.raises(InputError, match="needed some of room"):
        SyntheticDataset(families)


@pytest.fixture(scope="module")
def everything(bank: TextureBank, tmp_path_factory: pytest.TempPathFactory) -> tuple[SyntheticDataset, Path]:
    dataset = SyntheticDataset(["street", "room"], 3, size=SIZE, views_per_scene=2, bank=bank)
    folder = tmp_path_factory.mktemp("everything")
    write_shard(dataset, folder, 0, range(4), everything=True)
    return dataset, folder


def test_shards_hold_what_was_rendered(everything: tuple[SyntheticDataset, Path]) -> None:
    dataset, folder = everything
    reader = ShardReader(folder)
    for index in range(4):
        view = dataset[index]
        read = reader.read(index, ("image", "depth", "labels", "instances", "normals", "points", "info"))
        sky = np.isinf(view.depth)
        np.testing.assert_array_equal(np.isinf(read["depth"]), sky)
        np.testing.assert_allclose(read["depth"][~sky], view.depth[~sky], rtol=1e-4)
        np.testing.assert_array_equal(read["labels"], view.labels)
        np.testing.assert_array_equal(read["instances"], view.instances)
        np.testing.assert_allclose(read["normals"], view.normals, atol=0.005)
        assert np.abs(read["image"].astype(int) - view.image).mean() < 12  # JPEG
        assert set(read["points"]) == {"lidar", "solid_state", "radar", "range_finder", "vio"}
        np.testing.assert_array_equal(read["info"]["T_world_camera"], view.T_world_camera)


def test_sensors_agree_with_the_picture(everything: tuple[SyntheticDataset, Path]) -> None:
    """Most LiDAR points lie on the surfaces that the camera sees; the others are hidden from it, or noise."""
    dataset, _ = everything
    agreeing = []
    for index in range(4):
        view = dataset[index]
        scan = dataset.scans(index, view)["solid_state"]
        uv, depth = project(transform_points(scan.T_camera_sensor, scan.points), view.camera)
        seen = np.isfinite(uv).all(1) & (uv > 0).all(1) & (uv < np.array(SIZE) - 1).all(1) & ~scan.outlier
        u, v = np.rint(uv[seen]).astype(int).T
        agreeing.append(np.abs(view.depth[v, u] / depth[seen] - 1) < 0.1)
    assert np.concatenate(agreeing).mean() > 0.85


def test_a_folder_of_shards_is_a_dataset(everything: tuple[SyntheticDataset, Path], tmp_path: Path) -> None:
    dataset, folder = everything
    source = open_dataset(folder)
    assert not isinstance(source, FrameFolder)
    assert source.ids == ["00000000", "00000001", "00000002", "00000003"]
    for index, frame in enumerate(source):
        view = dataset[index]
        np.testing.assert_allclose(frame.camera.K, view.camera.K)
        np.testing.assert_array_equal(np.isnan(frame.depth), np.isinf(view.depth))
        np.testing.assert_array_equal(frame.points_lidar, dataset.scans(index, view)["lidar"].points)
        sample = frame.sample(hold_out=0.5)
        assert sample.points_held_out is not None
    assert main(["frames-to-bag", str(folder), str(tmp_path / "b.mcap"), "--hold-out", "0.5"]) == 0
    write(tmp_path / "plain", 0, range(2))
    plain = open_dataset(tmp_path / "plain")
    with pytest.raises(InputError, match="width"):
        _ = plain[0]


# ---- camera paths ----------------------------------------------------------------------------

GREY = Material(0, (0.6, 0.6, 0.6), (0.3, 0.3, 0.3), 1.0)


def hall(*, mover: bool = False) -> Scene:
    """12 x 8 x 3 m with a pillar in the middle, and perhaps a box that crosses it."""
    scene = Scene("room", near_m=0.3, far_m=20.0)
    scene.add("floor", [(slab((-6.1, -4.1, -0.1), (6.1, 4.1, 0)), GREY)])
    scene.add("ceiling", [(slab((-6.1, -4.1, 3), (6.1, 4.1, 3.1)), GREY)])
    for low, high in (
        ((6, -4.1, 0), (6.1, 4.1, 3)),
        ((-6.1, -4.1, 0), (-6, 4.1, 3)),
        ((-6.1, 4, 0), (6.1, 4.1, 3)),
        ((-6.1, -4.1, 0), (6.1, -4, 3)),
        ((-0.5, -0.5, 0), (0.5, 0.5, 3)),
    ):
        scene.add("wall", [(slab(low, high), GREY)])
    if mover:
        scene.add("vehicle", [(box(1.5, 1.5, 2), GREY)], placed(-5, 2.5), Motion((0.4, 0, 0)))
    for sign in (-1, 1):
        at = (sign * 4.0, 1.0, 1.2)
        scene.stations.append(Station(at, (at[0] + 0.3, 1.3, 1.3), (-2, -3, 1.0), (2, 0, 1.2)))
    return scene


@pytest.mark.parametrize("seed", range(4))
def test_paths_are_smooth_and_keep_clear(seed: int) -> None:
    scene = hall(mover=True)
    path = list(frames(scene, np.random.default_rng(seed), seconds=20, rate_hz=10))
    stamps = [stamp_ns for stamp_ns, _ in path]
    assert stamps == [START_NS + 100_000_000 * k for k in range(200)]
    assert scene_time_s(stamps[5]) == 0.5
    poses = np.array([T for _, T in path])
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3)[None].repeat(200, 0), atol=1e-9
    )
    velocity = 10 * np.diff(poses[:, :3, 3], axis=0)
    assert np.linalg.norm(velocity, axis=1).max() < 3
    assert np.linalg.norm(velocity, axis=1).sum() / 10 > 0.5  # it goes somewhere
    assert np.linalg.norm(10 * np.diff(velocity, axis=0), axis=1).max() < 6
    cosine = (np.einsum("nij,nij->n", poses[1:, :3, :3], poses[:-1, :3, :3]) - 1) / 2
    assert 10 * np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 75
    x, y, z = poses[:, :3, 3].T
    assert (np.abs(x) < 6 - 0.1).all() and (np.abs(y) < 4 - 0.1).all()
    assert (np.maximum(np.abs(x), np.abs(y)) > 0.5 + 0.1).all()  # not in the pillar
    np.testing.assert_allclose(z, z[0], atol=0.2)
    box_x = -5 + 0.4 * (np.array(stamps) - START_NS) / 1e9
    assert (np.maximum(np.abs(x - box_x), np.abs(y - 2.5)) > 0.75).all()  # nor in the box, where it is then


def test_a_path_follows_from_its_seed() -> None:
    a, b, c = (
        [T for _, T in frames(hall(), np.random.default_rng(seed), seconds=3, rate_hz=5)]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_camera_over_a_table_stays_before_what_it_looks_at() -> None:
    scene = Scene("tabletop", near_m=0.15, far_m=3.0)
    scene.add("table", [(slab((-1, -1, -0.05), (1, 1, 0)), GREY)])
    scene.add("object", [(box(0.1, 0.1, 0.2), GREY)])
    at = (0.5, 0.1, 0.6)
    scene.stations.append(Station(at, at, (0, 0, 0), (0, 0, 0.1)))
    world = World(scene)
    for _, T in frames(scene, np.random.default_rng(0), seconds=10, rate_hz=5):
        assert T[2, 3] > 0.02 and np.linalg.norm(T[:3, 3] - at) < 1.2
        assert np.isfinite(world.cast(T[:3, 3], T[None, :3, 2]).range_m).all()


def test_a_scene_without_room_is_refused() -> None:
    scene = Scene("room", near_m=0.3)
    scene.add("wall", [(slab((-0.1, -0.1, -0.1), (0.1, 0.1, 0.1)), GREY)])
    scene.stations.append(Station((0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0)))
    with pytest.raises(InputError, match="no clear way"):
        list(frames(scene, np.random.default_rng(0), seconds=2, rate_hz=2))
    with pytest.raises(InputError, match="both positive"):
        list(frames(hall(), np.random.default_rng(0), seconds=0, rate_hz=2))


# ---- the command -----------------------------------------------------------------------------

SMALL = ["--size", "96x64", "--textures", str(TEXTURES), "--views", "2"]


def synthesize(*args: Any) -> int:
    return main(["synthesize", *map(str, args), *SMALL])


def test_a_data_set_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    options = ("--families", "room", "--shard-size", 2, "--workers", 1)
    assert synthesize(out, "--count", 4, *options) == 0
    first = {path.name: path.read_bytes() for path in out.glob("*.zip")}
    assert shard_sizes(out) == {0: 2, 1: 2}
    (out / "shard_00000.zip").unlink()
    (out / "shard_00001.tmp").write_bytes(b"cut short")
    assert synthesize(out, "--count", 5, *options) == 0
    assert "5 samples, 3 of them new" in capsys.readouterr().out
    assert shard_sizes(out) == {0: 2, 1: 2, 2: 1}
    assert {name: (out / name).read_bytes() for name in first} == first
    assert synthesize(out, "--count", 6, *options) == 0  # the last shard was short
    assert shard_sizes(out) == {0: 2, 1: 2, 2: 2}
    assert synthesize(out, "--count", 6, *options, "--seed", 1) == 1
    assert "holds a data set with seed 0" in capsys.readouterr().err


def test_workers_make_what_one_process_makes(tmp_path: Path) -> None:
    options = ("--families", "tabletop,room", "--shard-size", 2, "--count", 6)
    for workers in (1, 2):
        assert synthesize(tmp_path / str(workers), *options, "--workers", workers) == 0
    for path in (tmp_path / "1").glob("*.zip"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()
    assert shard_sizes(tmp_path / "2") == {0: 2, 1: 2, 2: 2}


def test_contact_sheets(tmp_path: Path) -> None:
    sheet = tmp_path / "docs" / "sheet.png"
    assert synthesize("--contact-sheet", sheet, "--count", 2, "--families", "room,street") == 0
    pictures = [cv2.imread(str(sheet.with_name(f"sheet_{name}.png"))) for name in ("room", "street")]
    assert [p.shape for p in pictures] == [(TITLE_HEIGHT + 2 * 64, 5 * 96 + BAR_WIDTH, 3)] * 2
    assert not np.array_equal(*pictures)


def test_a_bag_of_a_walk(tmp_path: Path) -> None:
    """Camera, LiDAR, transforms and true depth fit together, and follow from the seed."""
    options = ("--bag", "--seconds", 1, "--rate", 5, "--family", "room", "--seed", 2)
    bags = [tmp_path / f"{workers}.mcap" for workers in (1, 2)]
    for workers, bag in enumerate(bags, start=1):
        assert synthesize(bag, *options, "--workers", workers) == 0
    recorded = []
    for bag in bags:
        with open_bag(bag) as reader:
            recorded.append([(c.topic, stamp, bytes(raw)) for c, stamp, raw in reader.messages()])
    assert recorded[0] == recorded[1]
    counts = {topic: sum(t == topic for t, *_ in recorded[0]) for topic, *_ in recorded[0]}
    assert counts == {
        "/camera/image": 5,
        "/camera/camera_info": 5,
        "/camera/depth_gt/image_rect": 5,
        "/camera/depth_gt/camera_info": 5,
        "/lidar/points": 5,  # the LiDAR turns ten times a second, but has no more stamps than images
        "/lidar/points_held_out": 5,
        "/tf": 5,
        "/tf_static": 1,
    }
    check_geometry(bags[0])


def check_geometry(bag: Path) -> None:
    from metric_depth_ros.transforms import TransformTree

    tree = TransformTree()
    for topic in ("/tf", "/tf_static"):
        for _, message in read_messages(bag, topic):
            for parent, child, T, stamp_ns in map(messages.read_transform, message.transforms):
                tree.add(parent, child, T, stamp_ns, static=topic == "/tf_static")
    depths = read_depths(bag, "/camera/depth_gt/image_rect")
    infos = [message for _, message in read_messages(bag, "/camera/camera_info")]
    camera = messages.read_camera(infos[0], rectified=True)
    agreeing = []
    for _, cloud in read_messages(bag, "/lidar/points"):
        stamp_ns = messages.stamp_ns(cloud)
        T = tree.lookup("camera_optical", "lidar", stamp_ns)
        uv, depth = project(transform_points(T, messages.read_points(cloud)), camera)
        seen = np.isfinite(uv).all(1) & (uv > 0).all(1) & (uv < np.array(SIZE) - 1).all(1)
        u, v = np.rint(uv[seen]).astype(int).T
        agreeing.append(np.abs(depths[stamp_ns][v, u] / depth[seen] - 1) < 0.1)
    assert np.concatenate(agreeing).mean() > 0.8
    for _, cloud in read_messages(bag, "/lidar/points_held_out"):
        points = messages.read_points(cloud)
        uv, depth = project(points, camera)
        u, v = np.rint(uv).astype(int).T
        np.testing.assert_allclose(depths[messages.stamp_ns(cloud)][v, u], depth, rtol=1e-5)
    # The base is under the camera, upright.
    T = tree.lookup("odom", "camera_optical", messages.stamp_ns(infos[-1]))
    base = tree.lookup("odom", "base_link", messages.stamp_ns(infos[-1]))
    assert base[2, 2] > 0.9 and T[2, 3] - base[2, 3] == pytest.approx(0.3, abs=0.1)


def test_a_bag_s_sensors_see_the_same_scene(tmp_path: Path) -> None:
    """Whatever a sensor measures lies on the true depth, once it is moved into the camera."""
    from metric_depth_ros.bags import BagReader
    from metric_depth_ros.config import from_flat

    topics = {
        "lidar": "/lidar/points",
        "range_finder": "/range",
        "scan_2d": "/scan",
        "depth_camera": "/depth_camera/image_raw",
        "vio": "/vio/points",
    }
    bag = tmp_path / "all.mcap"
    options = ("--bag", "--seconds", 1, "--rate", 5, "--family", "room", "--seed", 2, "--workers", 1)
    assert synthesize(bag, *options, "--sensors", ",".join(topics)) == 0
    settings = {f"sources.{name}.topic": topic for name, topic in topics.items()}
    config = from_flat({"anchors.sources": [*topics], **settings, "sync.fixed_frame": "odom"})
    depths = read_depths(bag, "/camera/depth_gt/image_rect")
    found: dict[str, list[np.ndarray]] = {name: [] for name in topics}
    with BagReader(bag, sources=config.sources) as reader:
        for stamp_ns, sample in reader.samples(config):
            for source in sample.sources:
                uv, depth = project(source.points, sample.camera)
                seen = np.isfinite(uv).all(1) & (uv > 0).all(1) & (uv < np.array(SIZE) - 1).all(1)
                u, v = np.rint(uv[seen]).astype(int).T
                found[source.name].append(np.abs(depths[stamp_ns][v, u] / depth[seen] - 1) < 0.15)
        assert not reader.skipped
    for name, agreeing in found.items():
        assert np.concatenate(agreeing).mean() > 0.75, name
