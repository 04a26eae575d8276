"""Writes one or two frames of each dataset of driving, byte for byte in the layout of the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml

from metric_depth_ros.geometry import project, rigid_transform, transform_points
from metric_depth_ros.types import Camera

WIDTH, HEIGHT = 40, 24
K = np.array([[20.0, 0, 19.5], [0, 21.0, 11.5], [0, 0, 1]])
# Codes of depth or disparity: all differ, 0 in the corner is unknown.
CODES = (np.arange(WIDTH * HEIGHT, dtype=np.uint16) * 60).reshape(HEIGHT, WIDTH)
# Of KITTI, up to 75 m in 1/256 m.
METRES_256 = CODES // 3
IMAGE = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
LABELS = np.random.default_rng(4).integers(0, 30, (HEIGHT, WIDTH)).astype(np.uint8)


class Made(NamedTuple):
    """What was written, and what its first frame must give.

    Attributes:
        path: of the dataset.
        files: that its first frame needs, relative to ``path``, with what they are.
        depth: (H, W) metres.
    """

    path: Path
    files: dict[str, str]
    depth: Any


def known(depth: Any) -> Any:
    return np.where(np.asarray(depth) > 0, depth, np.nan).astype(np.float32)


def write_png(path: Path, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values if values.ndim == 2 else np.ascontiguousarray(values[..., ::-1]))
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_json(path: Path, value: Any) -> Path:
    return write_text(path, json.dumps(value))


def write_exr(path: Path, values: Any) -> Path:
    import OpenEXR

    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Y": values.astype(np.float32)}) as file:
        file.write(str(path))
    return path


def numbers(values: Any) -> str:
    return " ".join(f"{value:.12e}" for value in np.asarray(values).ravel())


def grid_points() -> Any:
    """Points in the camera's frame, one on each pixel, at depths that all differ; and one behind another."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    z = 5 + 0.05 * np.arange(WIDTH * HEIGHT)
    rays = np.stack([(u.ravel() - K[0, 2]) / K[0, 0], (v.ravel() - K[1, 2]) / K[1, 1], np.ones(z.size)], 1)
    return np.concatenate([rays * z[:, None], rays[:1] * 90, -rays[:5]])


def grid_depth() -> Any:
    return (5 + 0.05 * np.arange(WIDTH * HEIGHT)).reshape(HEIGHT, WIDTH)


def inverse(T: Any) -> Any:
    return np.linalg.inv(T)


# ---- KITTI -----------------------------------------------------------------------------------

DAY, DRIVE = "2011_09_26", "2011_09_26_drive_0002_sync"
T_CAM0_VELO = rigid_transform([0.01, -0.07, -0.27], [0.5, -0.5, 0.5, -0.5])
R_RECT = rigid_transform([0, 0, 0], [0.01, 0.02, -0.01, 1])[:3, :3]
P4 = np.array([44.857, 0.2164, 0.0027])


def T_camera_velo() -> Any:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R_RECT, np.linalg.solve(K, P4)
    return T @ T_CAM0_VELO


def write_kitti_day(day: Path) -> None:
    P = np.column_stack([K, P4])
    right = np.column_stack([K, P4 - [K[0, 0] * 0.54, 0, 0]])
    write_text(
        day / "calib_cam_to_cam.txt",
        "calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.950000e-02\n"
        f"S_rect_02: {WIDTH}.0 {HEIGHT}.0\nR_rect_00: {numbers(R_RECT)}\nP_rect_02: {numbers(P)}\n"
        f"S_rect_03: {WIDTH}.0 {HEIGHT}.0\nP_rect_03: {numbers(right)}\n",
    )
    for name, T in (
        ("velo_to_cam", T_CAM0_VELO),
        ("imu_to_velo", rigid_transform([-0.8, 0.3, -0.8], [0, 0, 0, 1])),
    ):
        write_text(
            day / f"calib_{name}.txt",
            f"calib_time: 15-Mar-2012 11:37:16\nR: {numbers(T[:3, :3])}\nT: {numbers(T[:3, 3])}\n",
        )


def write_kitti_raw(root: Path) -> Made:
    """Two frames of a drive."""
    day = root / DAY
    write_kitti_day(day)
    points = transform_points(inverse(T_camera_velo()), grid_points())
    for index in range(2):
        name = f"{index + 69:010d}"
        for camera in ("image_02", "image_03"):
            write_png(day / DRIVE / camera / f"data/{name}.png", IMAGE)
        path = day / DRIVE / f"velodyne_points/data/{name}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.column_stack([points, np.full(len(points), 0.4)]).astype("<f4").tofile(path)
        oxts = [49.0 + 1e-5 * index, 8.4, 112.8, 0, 0, np.pi / 2, *[0.0] * 19, *[4] * 5]
        write_text(day / DRIVE / f"oxts/data/{name}.txt", " ".join(map(str, oxts)) + "\n")
    times = "\n".join(f"2011-09-26 13:02:{25 + n // 10:02d}.{n % 10}64389445" for n in range(71))
    write_text(day / DRIVE / "image_02/timestamps.txt", times + "\n")
    name = "0000000069"
    files = {
        f"{DAY}/{DRIVE}/image_02/data/{name}.png": "picture",
        f"{DAY}/{DRIVE}/velodyne_points/data/{name}.bin": "points",
        f"{DAY}/calib_cam_to_cam.txt": "text",
        f"{DAY}/calib_velo_to_cam.txt": "text",
        f"{DAY}/{DRIVE}/oxts/data/{name}.txt": "text",
    }
    return Made(root, files, grid_depth())


def write_kitti_completion(root: Path) -> Made:
    """A frame of the selected validation, two of train and of val, one to complete."""
    selection = root / "depth_selection/val_selection_cropped"
    end = "_0000000005_image_02"
    sparse = np.where(METRES_256 % 4 == 0, METRES_256, 0).astype(np.uint16)
    names = {
        "image": f"image/{DRIVE}_image{end}.png",
        "sparse": f"velodyne_raw/{DRIVE}_velodyne_raw{end}.png",
        "truth": f"groundtruth_depth/{DRIVE}_groundtruth_depth{end}.png",
        "K": f"intrinsics/{DRIVE}_image{end}.txt",
    }
    for role, values in (("image", IMAGE), ("sparse", sparse), ("truth", METRES_256)):
        write_png(selection / names[role], values)
    write_text(selection / names["K"], numbers(K))
    write_kitti_day(root / "kitti_raw" / DAY)
    for part, drive in (("train", DRIVE), ("val", DRIVE.replace("0002", "0005"))):
        inside = f"{part}/{drive}/proj_depth"
        for name in ("0000000005.png", "0000000006.png"):
            write_png(root / "data_depth_velodyne" / inside / "velodyne_raw/image_02" / name, sparse)
            write_png(root / "data_depth_annotated" / inside / "groundtruth/image_02" / name, METRES_256)
            write_png(root / "kitti_raw" / DAY / drive / "image_02/data" / name, IMAGE)
    test = root / "depth_selection/test_depth_completion_anonymous"
    write_png(test / "image/0000000000.png", IMAGE)
    write_png(test / "velodyne_raw/0000000000.png", sparse)
    write_text(test / "intrinsics/0000000000.txt", numbers(K))
    kinds = {"image": "picture", "sparse": "codes", "truth": "codes", "K": "text"}
    place = "depth_selection/val_selection_cropped"
    return Made(
        root, {f"{place}/{names[role]}": kind for role, kind in kinds.items()}, known(METRES_256 / 256)
    )


# ---- rendered --------------------------------------------------------------------------------


def write_urbansyn(root: Path) -> Made:
    metres = np.where(CODES > 0, CODES / 500, 0)
    labels = np.where(CODES > 50_000, 10, LABELS % 10).astype(np.uint8)
    for number in ("0001", "0002"):
        write_png(root / f"rgb/rgb_{number}.png", IMAGE)
        write_png(root / f"ss/ss_{number}.png", labels)
        write_exr(root / f"depth/depth_{number}.exr", metres / 1e5)
    camera = {"focalLength_mm": 20.0, "sensorWidth_mm": 40.0, "sensorHeight_mm": 24.0, "fov_deg": 62.0}
    write_json(root / "camera_metadata.json", {"parameters": [{"Camera": camera}]})
    files = {
        "rgb/rgb_0001.png": "picture",
        "depth/depth_0001.exr": "exr",
        "ss/ss_0001.png": "labels",
        "camera_metadata.json": "json",
    }
    return Made(root, files, np.where(labels == 10, np.nan, known(metres)))


def T_world_vkitti() -> Any:
    return rigid_transform([3, -1, 20], [0, 0.6, 0, 0.8])


def write_vkitti2(root: Path) -> Made:
    codes = np.where(CODES > 50_000, 65535, CODES).astype(np.uint16)
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[:, ::2] = (210, 0, 200)
    intrinsic, extrinsic = (
        ["frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]"],
        ["frame cameraID r1,1 r1,2 r1,3 t1 r2,1 r2,2 r2,3 t2 r3,1 r3,2 r3,3 t3 0 0 0 1"],
    )
    for frame, camera in ((0, 0), (0, 1), (1, 0), (1, 1)):
        inside = "Scene01/clone/frames/{}/Camera_" + f"{camera}/{{}}_{frame:05d}"
        write_jpg(root / "vkitti_2.0.3_rgb" / (inside.format("rgb", "rgb") + ".jpg"))
        write_png(root / "vkitti_2.0.3_depth" / (inside.format("depth", "depth") + ".png"), codes)
        classes = inside.format("classSegmentation", "classgt") + ".png"
        write_png(root / "vkitti_2.0.3_classSegmentation" / classes, colours)
        intrinsic.append(f"{frame} {camera} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}")
        shift = rigid_transform([-0.532725 * camera, 0, -frame], [0, 0, 0, 1])
        extrinsic.append(f"{frame} {camera} {numbers(shift @ inverse(T_world_vkitti()))}")
    text = root / "vkitti_2.0.3_textgt/Scene01/clone"
    write_text(text / "intrinsic.txt", "\n".join(intrinsic) + "\n")
    write_text(text / "extrinsic.txt", "\n".join(extrinsic) + "\n")
    clone, classes = "Scene01/clone", "frames/classSegmentation/Camera_0/classgt_00000.png"
    files = {
        f"vkitti_2.0.3_rgb/{clone}/frames/rgb/Camera_0/rgb_00000.jpg": "picture",
        f"vkitti_2.0.3_depth/{clone}/frames/depth/Camera_0/depth_00000.png": "codes",
        f"vkitti_2.0.3_classSegmentation/{clone}/{classes}": "colours",
        f"vkitti_2.0.3_textgt/{clone}/intrinsic.txt": "text",
        f"vkitti_2.0.3_textgt/{clone}/extrinsic.txt": "text",
    }
    return Made(root, files, known(np.where(codes == 65535, 0, codes) / 100))


def write_jpg(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), IMAGE[..., ::-1])
    return path


def write_synthia(root: Path) -> Made:
    """A sequence: depth in one of three channels, classes in the first of three."""
    sequence = root / "SYNTHIA-SEQS-01-DAWN"
    depth = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    depth[..., 0] = CODES
    labels = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    labels[..., 0] = np.where(CODES > 50_000, 1, 2 + LABELS % 10)
    labels[..., 1] = 77  # instances
    for place in ("Stereo_Left/Omni_F", "Stereo_Right/Omni_B"):
        write_png(sequence / "RGB" / place / "000000.png", IMAGE)
        write_png(sequence / "Depth" / place / "000000.png", depth)
        write_png(sequence / "GT/LABELS" / place / "000000.png", labels)
    # A blank line stands between the lines.
    write_text(sequence / "CameraParams/intrinsics.txt", "20.000000\n\n19.5\n\n11.5\n\n0.8\n")
    place = "SYNTHIA-SEQS-01-DAWN/{}/Stereo_Left/Omni_F/000000.png"
    files = {
        place.format("RGB"): "picture",
        place.format("Depth"): "codes",
        place.format("GT/LABELS"): "codes",
        "SYNTHIA-SEQS-01-DAWN/CameraParams/intrinsics.txt": "text",
    }
    return Made(root, files, np.where(CODES > 50_000, np.nan, known(CODES / 100)))


def write_synthia_rand(root: Path) -> Made:
    """RAND-CITYSCAPES: one folder deeper, without a camera."""
    made = write_synthia(root / "sequences")
    for part, there in (("RGB", "RGB"), ("Depth", "Depth/Depth"), ("GT/LABELS", "GT/LABELS")):
        source = made.path / "SYNTHIA-SEQS-01-DAWN" / part / "Stereo_Left/Omni_F/000000.png"
        path = root / "RAND_CITYSCAPES" / there / "0000000.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    names = ("RGB/0000000.png", "Depth/Depth/0000000.png", "GT/LABELS/0000000.png")
    kinds = dict(zip(names, ("picture", "codes", "codes"), strict=True))
    return Made(root / "RAND_CITYSCAPES", kinds, made.depth)


def write_mvs_synth(root: Path) -> Made:
    """The world's handedness differs from the camera's, as in the game; depth is in tenths of metres."""
    metres = np.where(CODES > 50_000, np.inf, known(CODES / 500))
    T = inverse(rigid_transform([30, 10, -20], [0.1, 0.2, 0.3, 0.9]))
    T[:3, 1] *= -1
    for scene, frame in (("0000", "0000"), ("0000", "0001"), ("0001", "0000")):
        write_png(root / scene / f"images/{frame}.png", IMAGE)
        write_exr(root / scene / f"depths/{frame}.exr", np.where(np.isnan(metres), 0, metres * 10))
        pose = {"f_x": 20.0, "f_y": 21.0, "c_x": 19.5, "c_y": 11.5, "extrinsic": T.tolist()}
        write_json(root / scene / f"poses/{frame}.json", pose)
    write_json(root / "num_images.json", [2, 1])
    files = {
        "0000/images/0000.png": "picture",
        "0000/depths/0000.exr": "exr",
        "0000/poses/0000.json": "json",
    }
    return Made(root, files, np.where(np.isinf(metres), np.nan, metres))


# ---- stereo ----------------------------------------------------------------------------------


def write_cityscapes(root: Path) -> Made:
    labels = np.where(CODES > 50_000, 23, LABELS % 20).astype(np.uint8)
    for split in ("train", "val"):
        for city, name in (("aachen", "aachen_000000_000019"), ("bochum", "bochum_000000_000313")):
            where = f"{split}/{city}/{name}"
            write_png(root / "leftImg8bit" / f"{where}_leftImg8bit.png", IMAGE)
            write_png(root / "disparity" / f"{where}_disparity.png", CODES)
            write_png(root / "gtFine" / f"{where}_gtFine_labelIds.png", labels)
            intrinsic = {"fx": 20.0, "fy": 21.0, "u0": 19.5, "v0": 11.5}
            extrinsic = {
                "baseline": 0.209313,
                "pitch": 0.038,
                "roll": 0,
                "x": 1.7,
                "y": 0.1,
                "yaw": 0,
                "z": 1.22,
            }
            write_json(
                root / "camera" / f"{where}_camera.json", {"extrinsic": extrinsic, "intrinsic": intrinsic}
            )
    disparity = (CODES.astype(float) - 1) / 256
    with np.errstate(divide="ignore"):
        depth = np.where(disparity > 0, 0.209313 * 20 / disparity, np.nan)
    where = "val/aachen/aachen_000000_000019"
    files = {
        f"leftImg8bit/{where}_leftImg8bit.png": "picture",
        f"disparity/{where}_disparity.png": "codes",
        f"camera/{where}_camera.json": "json",
        f"gtFine/{where}_gtFine_labelIds.png": "labels",
    }
    return Made(root, files, np.where(labels == 23, np.nan, depth))


def write_dsec(root: Path) -> Made:
    calibration = {
        "extrinsics": {"R_rect1": np.eye(3).tolist(), "T_10": np.eye(4).tolist()},
        "intrinsics": {
            "cam1": {"camera_matrix": [19.0, 19.0, 11.0, 7.0], "distortion_coeffs": [0.1, 0, 0, 0]},
            "camRect1": {"camera_matrix": [20.0, 21.0, 19.5, 11.5], "resolution": [WIDTH, HEIGHT]},
        },
        "disparity_to_depth": {
            "cams_03": np.eye(4).tolist(),
            "cams_12": [[1.0, 0, 0, -19.5], [0, 1.0, 0, -11.5], [0, 0, 0, 20.0], [0, 0, 1.9, 0.0]],
        },
    }
    for sequence in ("interlaken_00_c", "zurich_city_00_a"):
        write_text(
            root / "train_calibration" / sequence / "calibration/cam_to_cam.yaml", yaml.safe_dump(calibration)
        )
        for number in (0, 1, 2):
            image = root / "train_images" / sequence / f"images/left/rectified/{number:06d}.png"
            write_png(image, IMAGE)
        for number in (0, 2):
            write_png(root / "train_disparity" / sequence / f"disparity/image/{number:06d}.png", CODES)
        stamps = root / "train_images" / sequence / "images/timestamps.txt"
        write_text(stamps, "49599300523\n49599350523\n49599400523\n")
    with np.errstate(divide="ignore"):
        depth = np.where(CODES > 0, 20.0 / (1.9 * CODES / 256), np.nan)
    where = "interlaken_00_c"
    files = {
        f"train_images/{where}/images/left/rectified/000000.png": "picture",
        f"train_disparity/{where}/disparity/image/000000.png": "codes",
        f"train_calibration/{where}/calibration/cam_to_cam.yaml": "yaml",
    }
    return Made(root, files, depth)


def write_diml(root: Path) -> Made:
    """All four kinds: indoors and outdoors, of the sample and of the full set."""
    write_png(root / "HR/Bathroom/color/in_00_160604_142930_c.png", IMAGE)
    write_png(root / "HR/Bathroom/depth_filled/in_00_160604_142930_depth_filled.png", CODES)
    write_png(root / "indoor/1. Cafe/170512/A/col/0001_c.png", IMAGE)
    write_png(root / "indoor/1. Cafe/170512/A/up_png/0001_ud.png", CODES)
    write_png(root / "outdoor_sample/field/outleft/r00.png", IMAGE)
    write_png(root / "outdoor_sample/field/depthmap/r00.png", CODES)
    sure = np.full((HEIGHT, WIDTH), 255, np.uint8)
    sure[3] = 100
    write_png(root / "outdoor/170721_C0/A/left/0001_left.png", IMAGE)
    write_png(root / "outdoor/170721_C0/A/depth/0001_depth.png", CODES)
    write_png(root / "outdoor/170721_C0/A/conf/0001_conf.png", sure)
    files = {
        "HR/Bathroom/color/in_00_160604_142930_c.png": "picture",
        "HR/Bathroom/depth_filled/in_00_160604_142930_depth_filled.png": "codes",
    }
    return Made(root, files, known(CODES / 1000))


# ---- LiDAR -----------------------------------------------------------------------------------

# World to camera and LiDAR at their own times: the car drives in between.
T_WORLD_CAMERA = rigid_transform([400.1, -259.3, 13.8], [-0.62, -0.35, 0.34, 0.61])
T_CAMERA_LIDAR = rigid_transform([0.1, -0.3, -0.5], [0.5, -0.5, 0.5, -0.5])


def write_ddad(root: Path) -> Made:
    def pose(T: Any) -> dict[str, Any]:
        from metric_depth_ros.geometry import quaternion

        x, y, z, w = quaternion(T[:3, :3])
        at = dict(zip("xyz", T[:3, 3].tolist(), strict=True))
        return {"rotation": {"qw": w, "qx": x, "qy": y, "qz": z}, "translation": at}

    points = transform_points(inverse(T_CAMERA_LIDAR), grid_points())
    for scene in ("000000", "000150"):
        data, samples = [], []
        for number in range(2):
            time, keys = f"2019-05-15T00:38:5{number}.203752Z", []
            for name in ("LIDAR", "CAMERA_01", "CAMERA_05"):
                T = T_WORLD_CAMERA @ T_CAMERA_LIDAR if name == "LIDAR" else T_WORLD_CAMERA
                kind, end = ("point_cloud", "npz") if name == "LIDAR" else ("rgb", "png")
                file = f"{kind}/{name}/1556919593820375{number}.{end}"
                if name == "LIDAR":
                    datum = {"point_cloud": {"filename": file, "point_format": ["X", "Y", "Z", "INTENSITY"]}}
                    path = root / scene / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.savez_compressed(path, data=np.column_stack([points, points[:, 0]]).astype(np.float32))
                else:
                    datum = {"image": {"filename": file, "height": HEIGHT, "width": WIDTH, "channels": 3}}
                    write_png(root / scene / file, IMAGE)
                next(iter(datum.values()))["pose"] = pose(T)
                keys.append(f"{scene}{number}{name}")
                identity = {"index": "0", "log": "log", "name": name, "timestamp": time}
                data.append({"datum": datum, "id": identity, "key": keys[-1], "next_key": "", "prev_key": ""})
            samples.append({"calibration_key": "c0e1a6f1", "datum_keys": keys, "id": {"timestamp": time}})
        write_json(root / scene / f"scene_{scene}a8dc.json", {"data": data, "samples": samples, "name": ""})
        none = {"cx": 0.0, "cy": 0.0, "fx": 0.0, "fy": 0.0, "skew": 0.0}
        given = {"cx": 19.5, "cy": 11.5, "fx": 20.0, "fy": 21.0, "skew": 0.0}
        calibration = {"names": ["LIDAR", "CAMERA_01", "CAMERA_05"], "intrinsics": [none, given, given]}
        write_json(
            root / scene / "calibration/c0e1a6f1.json", {**calibration, "extrinsics": [pose(np.eye(4))] * 3}
        )
    splits = {
        "0": {"filenames": ["000000/scene_000000a8dc.json"]},
        "1": {"filenames": ["000150/scene_000150a8dc.json"]},
    }
    write_json(root / "ddad.json", {"metadata": {"name": "DDAD"}, "scene_splits": splits})
    files = {
        "ddad.json": "json",
        "000150/scene_000150a8dc.json": "json",
        "000150/calibration/c0e1a6f1.json": "json",
        "000150/rgb/CAMERA_01/15569195938203750.png": "picture",
        "000150/point_cloud/LIDAR/15569195938203750.npz": "npz",
    }
    return Made(root, files, grid_depth())


def write_nuscenes(root: Path) -> Made:
    """Two scenes with a sample each; tables in the devkit's way, a field a line."""
    from metric_depth_ros.geometry import quaternion

    def placed(T: Any) -> dict[str, Any]:
        x, y, z, w = quaternion(T[:3, :3])
        return {"translation": T[:3, 3].tolist(), "rotation": [w, x, y, z]}

    tables = root / "v1.0-mini"
    T_car_camera, T_car_lidar = (
        rigid_transform([1.7, 0, 1.5], [0.5, -0.5, 0.5, -0.5]),
        rigid_transform([0.94, 0, 1.84], [0, 0, -0.7, 0.7]),
    )
    T_world_car = {"CAM": T_WORLD_CAMERA @ inverse(T_car_camera)}
    T_world_car["LIDAR"] = T_WORLD_CAMERA @ T_CAMERA_LIDAR @ inverse(T_car_lidar)
    sensors = ["CAM_FRONT", "CAM_BACK", "LIDAR_TOP", "RADAR_FRONT"]
    calibrated = [
        {
            "token": f"cs_{name}",
            "sensor_token": f"s_{name}",
            **placed(T_car_lidar if name == "LIDAR_TOP" else T_car_camera),
            "camera_intrinsic": K.tolist() if name.startswith("CAM") else [],
        }
        for name in sensors
    ]
    points = transform_points(inverse(T_CAMERA_LIDAR), grid_points())
    data, poses = [], []
    for scene in ("1", "2"):
        for name in sensors[:3]:
            for key in (True, False):
                token = f"{name}{scene}{key}"
                file = f"{'samples' if key else 'sweeps'}/{name}/n015__{name}__153240292764746{scene}."
                file += "pcd.bin" if name == "LIDAR_TOP" else "png"
                data.append(
                    {
                        "token": token, "sample_token": f"sample{scene}", "ego_pose_token": f"e{token}",
                        "calibrated_sensor_token": f"cs_{name}", "timestamp": 1532402927647460 + int(scene),
                        "fileformat": file[-3:], "is_key_frame": key, "height": 0, "width": 0,
                        "filename": file, "prev": "", "next": "",
                    }
                )  # fmt: skip
                T = T_world_car["LIDAR" if name == "LIDAR_TOP" else "CAM"]
                poses.append({"token": f"e{token}", "timestamp": 1532402927647460, **placed(T)})
                if name != "LIDAR_TOP":
                    write_png(root / file, IMAGE)
                    continue
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                np.column_stack([points, np.full((len(points), 2), 3)]).astype("<f4").tofile(root / file)
    written = {
        "scene": [{"token": f"scene{n}", "name": f"scene-006{n}"} for n in "12"],
        "sample": [{"token": f"sample{n}", "scene_token": f"scene{n}"} for n in "12"],
        "sensor": [{"token": f"s_{name}", "channel": name} for name in sensors],
        "calibrated_sensor": calibrated,
        "sample_data": data,
        "ego_pose": poses,
    }
    for name, records in written.items():
        write_text(tables / f"{name}.json", json.dumps(records, indent=0))
    files = {
        "samples/CAM_FRONT/n015__CAM_FRONT__1532402927647461.png": "picture",
        "samples/LIDAR_TOP/n015__LIDAR_TOP__1532402927647461.pcd.bin": "points",
        **{f"v1.0-mini/{name}.json": "json" for name in written},
    }
    return Made(root, files, grid_depth())


MAKERS: dict[str, Callable[[Path], Made]] = {
    "kitti_raw": write_kitti_raw,
    "kitti_completion": write_kitti_completion,
    "urbansyn": write_urbansyn,
    "vkitti2": write_vkitti2,
    "synthia": write_synthia,
    "ddad": write_ddad,
    "nuscenes": write_nuscenes,
    "dsec": write_dsec,
    "mvs_synth": write_mvs_synth,
    "diml": write_diml,
    "cityscapes": write_cityscapes,
}
NEED_EXR = ("urbansyn", "mvs_synth")
CAMERA = Camera(WIDTH, HEIGHT, K)
assert len(project(grid_points(), CAMERA)[0]) == WIDTH * HEIGHT + 6
