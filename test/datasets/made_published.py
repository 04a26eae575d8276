"""Small files in the layouts of published datasets, and what is in them."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import loadmat, savemat
from scipy.spatial.transform import Rotation

from metric_depth_ros.geometry import rigid_transform

WIDTH, HEIGHT = 32, 24
POSE = rigid_transform([0.5, -1.0, 2.0], [0.1, 0.2, -0.3, 0.9])
INTRINSICS = (30.0, 31.0, 15.25, 11.5)
EYE = np.eye(4)


@dataclass
class Made:
    """A dataset on disk.

    Attributes:
        path: what ``open_dataset`` gets.
        name: of its class in DATASETS.
        images, depths: of each frame of the default split; None: not told.
        intrinsics: fx, fy, cx, cy.
        pose: T_world_camera of the first frame.
        splits: number of frames by split.
        truth: the file with the depth of the first frame.
        sparse, regions: of the first frame.
    """

    path: Path
    name: str
    images: list[Any]
    depths: list[Any]
    intrinsics: tuple[float, ...] | None
    truth: Path
    pose: Any = None
    splits: dict[str, int] = field(default_factory=dict)
    sparse: Any = None
    regions: Any = None


def image_of(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """Smooth colours, which a JPEG keeps."""
    v, u = np.mgrid[:height, :width]
    channels = [100 + 60 * np.sin((u + 3 * seed) / width * k + v / height) for k in (2, 3, 4)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def depth_of(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """A slope of 1 to 5 m, unknown in a corner."""
    depth = np.geomspace(1 + seed / 10, 4, height)[:, None] * np.linspace(1, 1.2, width)
    depth[: height // 4, : width // 4] = 0
    return depth.astype(np.float32)


def save_image(path: Path, image: Any) -> Path:
    """Image in RGB as PNG or JPEG by its suffix."""
    return save(path, image[..., ::-1], *((cv2.IMWRITE_JPEG_QUALITY, 100) if path.suffix == ".jpg" else ()))


def save(path: Path, values: Any, *parameters: int) -> Path:
    """Picture with the values as they are, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(values), parameters)
    assert done
    path.write_bytes(data.tobytes())
    return path


def codes(depth: Any, per_metre: float) -> Any:
    return np.rint(depth * per_metre).astype(np.uint16)


def stored(depth: Any, per_metre: float) -> Any:
    """Depth as it comes back, NaN unknown."""
    return known(codes(depth, per_metre) / per_metre)


def known(depth: Any) -> Any:
    return np.where(depth > 0, depth, np.nan).astype(np.float32)


def save_text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def words(values: Any, separator: str = " ") -> str:
    return separator.join(f"{value:.12g}" for value in np.ravel(values))


def matrix_of(intrinsics: Sequence[float]) -> Any:
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def save_array(path: Path, array: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def nyuv2(root: Path, count: int = 3, size: tuple[int, int] = (640, 480)) -> Made:
    """The labelled file, as MATLAB 7.3 writes it: columns first, texts as references."""
    import h5py

    root.mkdir(parents=True)
    images = [image_of(index, *size) for index in range(count)]
    depths = [depth_of(index, *size) for index in range(count)]
    labels = np.zeros((size[1], size[0]), np.uint16)
    labels[:, 100:300], labels[200:, 300:] = 5, 7
    instances = np.zeros_like(labels, np.uint8)
    instances[:, 100:200], instances[:, 200:300] = 1, 2
    path = root / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = np.stack([image.transpose(2, 1, 0) for image in images])
        file["rawDepths"] = np.stack([depth.T for depth in depths])
        file["depths"] = np.full((count, *size), 2, np.float32)
        file["labels"] = np.stack([labels.T] * count)
        file["instances"] = np.stack([instances.T] * count)
        names = [f"kitchen_000{index}" for index in range(count)]
        for index, name in enumerate(names):
            file[f"#refs#/{index}"] = np.array([[ord(letter)] for letter in name], np.uint16)
        references = [[file[f"#refs#/{index}"].ref for index in range(count)]]
        file.create_dataset("scenes", data=np.array(references, h5py.ref_dtype))
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + path.read_bytes()[512:])
    savemat(root / "splits.mat", {"testNdxs": [[1.0], [3.0]], "trainNdxs": [[2.0]]}, do_compression=True)
    objects = np.zeros(labels.shape, int)
    objects[:, 100:200], objects[:, 200:300], objects[200:, 300:] = 1, 2, 3
    intrinsics = (518.857901, 519.469611, 324.582449, 252.736166)
    return Made(
        root, "nyuv2", [images[0], images[2]], [known(depths[0]), known(depths[2])], intrinsics, path,
        splits={"test": 2, "train": 1, "all": 3}, regions=objects,
    )  # fmt: skip


def nyuv2_sync(root: Path) -> Made:
    images, depths = [image_of(i, 640, 480) for i in range(2)], [depth_of(i, 640, 480) for i in range(2)]
    for place in ("official_splits/test/bathroom", "sync/kitchen_0028b"):
        for index in range(2):
            folder = root / place
            save_image(folder / f"rgb_{index + 45:05d}.jpg", images[index])
            save(folder / f"sync_depth_{index + 45:05d}.png", codes(depths[index], 1000))
    save_text(
        root / "nyudepthv2_train_files_with_gt.txt",
        "/kitchen_0028b/rgb_00045.jpg /kitchen_0028b/sync_depth_00045.png 518.8579",
    )
    truth = root / "official_splits/test/bathroom/sync_depth_00045.png"
    intrinsics = (518.857901, 519.469611, 324.582449, 252.736166)
    splits = {"test": 2, "train": 1, "all": 2}
    return Made(
        root, "nyuv2_sync", images, [stored(d, 1000) for d in depths], intrinsics, truth, splits=splits
    )


def void(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    stamps = ("1552097950.2974", "1552097951.3310")
    sequence = root / "void_1500/data/classroom4"
    points = np.zeros((HEIGHT, WIDTH), bool)
    points[10, 5:20:5] = True
    for stamp, image, depth in zip(stamps, images, depths, strict=True):
        save_image(sequence / f"image/{stamp}.png", image)
        save(sequence / f"ground_truth/{stamp}.png", codes(depth, 256))
        save(sequence / f"sparse_depth/{stamp}.png", codes(np.where(points, depth, 0) + 0.1, 256))
        save(sequence / f"validity_map/{stamp}.png", points.astype(np.uint16) * 256)
        save_text(sequence / f"absolute_pose/{stamp}.txt", *(words(row) for row in POSE[:3]))
    save_text(sequence / "K.txt", *(words(row) for row in matrix_of(INTRINSICS)))
    for split, chosen in (("test", stamps), ("train", stamps[:1])):
        for part in ("image", "sparse_depth"):
            lines = [f"void_1500/data/classroom4/{part}/{stamp}.png" for stamp in chosen]
            save_text(root / f"void_1500/{split}_{part}.txt", *lines)
    sparse = np.where(points, stored(depths[0] + 0.1, 256), np.nan)
    return Made(
        root, "void", images, [stored(depth, 256) for depth in depths], INTRINSICS,
        sequence / f"ground_truth/{stamps[0]}.png", POSE, {"test": 2, "train": 1}, sparse,
    )  # fmt: skip


def sun_rgbd(root: Path) -> Made:
    names = ("kv1/NYUdata/NYU0001", "kv2/kinect2data/000002_2014-05-26", "xtion/sun3ddata/a/b/0001")
    images, depths = [image_of(i) for i in range(3)], [depth_of(i) for i in range(3)]
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, 10:] = 9
    for name, image, depth in zip(names, images, depths, strict=True):
        folder = root / "SUNRGBD" / name
        save_image(folder / "image/a.jpg", image)
        millimetres = codes(depth, 1000).astype(np.uint32)
        turned = ((millimetres << 3) | (millimetres >> 13)).astype(np.uint16)
        save(folder / "depth_bfx/a.png", turned)
        save(folder / "depth/a.png", turned * 0)
        save_text(folder / "intrinsics.txt", words(matrix_of(INTRINSICS)))
        savemat(folder / "seg.mat", {"seglabel": labels, "names": np.array([["wall"]], object)})
    toolbox = root / "SUNRGBDtoolbox/traintestSUNRGBD"
    toolbox.mkdir(parents=True)
    paths = np.array([f"/n/fs/sun3d/data/SUNRGBD/{name}" for name in names], object)
    split = {"alltest": paths[None, :2], "alltrain": paths[None, 2:]}
    savemat(toolbox / "allsplit.mat", split, do_compression=True)
    return Made(
        root, "sun_rgbd", images[:2], [stored(depth, 1000) for depth in depths[:2]], INTRINSICS,
        root / "SUNRGBD" / names[0] / "depth_bfx/a.png", splits={"test": 2, "train": 1, "all": 3},
        regions=(labels > 0).astype(int),
    )  # fmt: skip


def hypersim(root: Path) -> Made:
    import h5py

    def store(path: Path, values: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.create_dataset("dataset", data=values, compression="gzip")
        return path

    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    focal = WIDTH / 2 / np.tan(np.pi / 6)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    lengths = np.sqrt(((u - 15.5) / focal) ** 2 + ((v - 11.5) / focal) ** 2 + 1)
    instances = np.where(u < 9, -1, 4 + (u > 20)).astype(np.int16)
    scene = root / "ai_001_003"
    for index in range(2):
        start = f"frame.{index + 5:04d}"
        preview = scene / "images/scene_cam_00_final_preview"
        save_image(preview / f"{start}.tonemap.jpg", images[index])
        save_image(preview / f"{start}.color.jpg", 255 - images[index])
        geometry = scene / "images/scene_cam_00_geometry_hdf5"
        store(geometry / f"{start}.depth_meters.hdf5", (depths[index] * lengths).astype(np.float16))
        store(geometry / f"{start}.semantic_instance.hdf5", instances)
    camera = scene / "_detail/cam_00"
    store(camera / "camera_keyframe_orientations.hdf5", np.stack([POSE[:3, :3] @ np.diag([1, -1, -1])] * 9))
    store(camera / "camera_keyframe_positions.hdf5", np.stack([POSE[:3, 3] / 0.0254] * 9))
    save_text(
        scene / "_detail/metadata_scene.csv", "parameter_name,parameter_value", "meters_per_asset_unit,0.0254"
    )
    save_text(
        root / "metadata_images_split_scene_v1.csv",
        "scene_name,camera_name,frame_id,included_in_public_release,exclude_reason,split_partition_name",
        "ai_001_003,cam_00,4,False,CONTENT FLAGGED FOR REMOVAL,",
        "ai_001_003,cam_00,5,True,,test", "ai_001_003,cam_00,6,True,,test", "ai_009_001,cam_00,6,True,,train",
    )  # fmt: skip
    truth = scene / "images/scene_cam_00_geometry_hdf5/frame.0005.depth_meters.hdf5"
    regions = np.where(u < 9, 0, 1 + (u > 20))
    return Made(
        root, "hypersim", images, [known(d) for d in depths], (focal, focal, 15.5, 11.5), truth, POSE,
        {"test": 2, "all": 2}, regions=regions,
    )  # fmt: skip


def ibims(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    transparent, invalid = np.ones((2, HEIGHT, WIDTH), np.uint8)
    transparent[20, :], invalid[:, 30] = 0, 0
    wall, table, floor = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    wall[:8, :16], wall[:8, 16:], floor[20:] = 1, 2, 1
    fx, fy, cx, cy = INTRINSICS
    folder = root / "ibims1_core_mat"
    folder.mkdir(parents=True)
    for name, image, depth in zip(("corridor_01", "lab_02"), images, depths, strict=True):
        data = {
            "rgb": image, "depth": depth.astype(np.float64), "edges": wall * 0, "mask_invalid": invalid,
            "calib": matrix_of((fx, fy, cx + 1, cy + 1)).T, "mask_transp": transparent, "mask_wall": wall,
            "mask_table": table, "mask_floor": floor, "mask_wall_paras": np.ones((2, 4)),
        }  # fmt: skip
        savemat(folder / f"{name}.mat", {"data": data}, do_compression=True)
    save_text(root / "imagelist.txt", "corridor_01", "lab_02")
    seen = (transparent > 0) & (invalid > 0)
    return Made(
        root, "ibims", images, [np.where(seen, known(depth), np.nan) for depth in depths], INTRINSICS,
        folder / "corridor_01.mat", splits={"test": 2}, regions=wall + 3 * floor,
    )  # fmt: skip


def ibims_raw(root: Path) -> Made:
    """The same as pictures."""
    made = ibims(root / "mat")
    folder = root / "ibims1_core_raw"
    for name, image in zip(("corridor_01", "lab_02"), made.images, strict=True):
        data = loadmat(root / f"mat/ibims1_core_mat/{name}.mat")["data"][0, 0]
        save_image(folder / f"rgb/{name}.png", image)
        save(folder / f"depth/{name}.png", codes(data["depth"].astype(np.float32), 65535 / 50))
        for part in ("mask_invalid", "mask_transp"):
            save(folder / part / f"{name}.png", data[part] * 255)
        for part in ("mask_wall", "mask_table", "mask_floor"):
            save(folder / part / f"{name}.png", data[part])
        fx, fy, cx, cy = INTRINSICS
        save_text(folder / f"calib/{name}.txt", words([fx, fy, cx + 1, cy + 1], ","))
    shutil.rmtree(root / "mat")
    depths = [stored(np.nan_to_num(depth), 65535 / 50) for depth in made.depths]
    truth = folder / "depth/corridor_01.png"
    return replace(made, path=root, depths=depths, truth=truth)


def diode(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    mask[:, 20] = 0
    names = {"indoors": "scene_00019/scan_00183/00019_00183_indoors_000_010"}
    names["outdoor"] = "scene_00022/scan_00193/00022_00193_outdoor_000_010"
    for place, image, depth in zip(names, images, depths, strict=True):
        start = root / "val" / place / names[place]
        save_image(Path(f"{start}.png"), image)
        save_array(Path(f"{start}_depth.npy"), depth[..., None])
        save_array(Path(f"{start}_depth_mask.npy"), mask)
    truth = Path(f"{root / 'val/indoors' / names['indoors']}_depth.npy")
    return Made(
        root, "diode", images, [np.where(mask > 0, known(depth), np.nan) for depth in depths],
        (886.81, 927.06, 512, 384), truth, splits={"val": 2, "val_indoors": 1, "val_outdoor": 1},
    )  # fmt: skip


def scannet(root: Path) -> Made:
    """Exported by SensReader: colour larger than depth."""
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    scan = root / "scans/scene0011_00"
    for index in range(2):
        save_image(scan / f"color/{index}.jpg", cv2.resize(images[index], None, fx=2, fy=2))
        save(scan / f"depth/{index}.png", codes(depths[index], 1000))
    save_text(scan / "pose/0.txt", *(words(row) for row in POSE))
    save_text(scan / "pose/1.txt", *["-inf -inf -inf -inf"] * 4)
    K = np.eye(4)
    K[:3, :3] = matrix_of(INTRINSICS)
    save_text(scan / "intrinsic/intrinsic_depth.txt", *(words(row) for row in K))
    save_text(root / "scannetv2_val.txt", "scene0011_00")
    save_text(root / "scannetv2_train.txt", "scene0000_00", "scene0011_00")
    return Made(
        root, "scannet", images, [stored(depth, 1000) for depth in depths], INTRINSICS, scan / "depth/0.png",
        POSE, {"all": 2, "train": 2, "val": 2},
    )  # fmt: skip


def scannet_sens(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    K = np.eye(4)
    K[:3, :3] = matrix_of(INTRINSICS)
    name = b"StructureSensor"
    path = root / "scene0011_00/scene0011_00.sens"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.write(struct.pack("<IQ", 4, len(name)) + name)
        file.write(np.stack([K * 2, EYE, K, EYE]).astype("<f4").tobytes())
        file.write(struct.pack("<iiIIIIfQ", 2, 1, 2 * WIDTH, 2 * HEIGHT, WIDTH, HEIGHT, 1000, 2))
        for index in range(2):
            save_image(root / f"{index}.jpg", cv2.resize(images[index], None, fx=2, fy=2))
            colour = (root / f"{index}.jpg").read_bytes()
            depth = zlib.compress(codes(depths[index], 1000).tobytes())
            pose = POSE if index == 0 else np.full((4, 4), -np.inf)
            file.write(pose.astype("<f4").tobytes() + struct.pack("<QQQQ", 1, 2, len(colour), len(depth)))
            file.write(colour + depth)
    return Made(
        root, "scannet", images, [stored(depth, 1000) for depth in depths], INTRINSICS, path, POSE, {"all": 2}
    )


def eth3d(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    scene = root / "courtyard"
    inverse = np.linalg.inv(POSE)
    x, y, z, w = Rotation.from_matrix(inverse[:3, :3]).as_quat()
    rows = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    fx, fy, cx, cy = INTRINSICS
    for index, (image, depth) in enumerate(zip(images, depths, strict=True)):
        name = f"DSC_028{index}.JPG"
        path = save_image(scene / f"images/dslr_images/{name[:-4]}.jpg", image)
        path.rename(path.with_name(name))
        truth = scene / "ground_truth_depth/dslr_images" / name
        truth.parent.mkdir(parents=True, exist_ok=True)
        np.where(depth > 0, depth, np.inf).astype("<f4").tofile(truth)
        rows.append(f"{index} {words([w, x, y, z, *inverse[:3, 3]])} 0 dslr_images/{name}")
        rows.append("" if index else "12.5 13.5 -1 14.5 15.5 7")
    lens = (-0.1, 0.02, 1e-4, 2e-4, 0.001, -0.002, 3e-4, 4e-4)
    parameters = words([fx, fy, cx + 0.5, cy + 0.5, *lens])
    calibration = scene / "dslr_calibration_jpg"
    save_text(calibration / "cameras.txt", "# comment", f"0 THIN_PRISM_FISHEYE {WIDTH} {HEIGHT} {parameters}")
    save_text(calibration / "images.txt", *rows)
    return Made(
        root, "eth3d", images, [known(depth) for depth in depths], INTRINSICS,
        scene / "ground_truth_depth/dslr_images/DSC_0280.JPG", POSE, {"all": 2},
    )  # fmt: skip


def tum_rgbd(root: Path) -> Made:
    """Three images, of which the second has no depth within 20 ms, and a pose with the first alone."""
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    sequence = root / "rgbd_dataset_freiburg1_xyz"
    times = (1305031102.175304, 1305031102.211214, 1305031102.243211)
    depth_times = (1305031102.160407, 1305031102.226738, 1305031102.262886)
    save_image(sequence / "rgb/a.png", images[0])
    save_image(sequence / "rgb/b.png", image_of(7))
    save_image(sequence / "rgb/c.png", images[1])
    save(sequence / "depth/a.png", codes(depths[0], 5000))
    save(sequence / "depth/b.png", codes(depth_of(7), 5000))
    save(sequence / "depth/c.png", codes(depths[1], 5000))
    rgb = [f"{time:.6f} rgb/{name}.png" for time, name in zip(times, "abc", strict=True)]
    # The second depth image is within 20 ms of two images, and goes to the nearer one.
    depth = [f"{time:.6f} depth/{name}.png" for time, name in zip(depth_times, "acb", strict=True)]
    depth = [depth[0], depth[1].replace("/c", "/b"), depth[2].replace("/b", "/c")]
    save_text(sequence / "rgb.txt", "# color images", "# file: 'rgbd.bag'", "# timestamp filename", *rgb)
    save_text(sequence / "depth.txt", "# depth maps", *depth)
    pose = "0.5 -1.0 2.0 0.1 0.2 -0.3 0.9"
    save_text(sequence / "groundtruth.txt", "# timestamp tx ty tz qx qy qz qw", f"1305031102.1758 {pose}")
    return Made(
        root, "tum_rgbd", [images[0], image_of(7), images[1]],
        [stored(d, 5000) for d in (depths[0], depth_of(7), depths[1])], (517.3, 516.5, 318.6, 255.3),
        sequence / "depth/a.png", POSE, {"all": 3},
    )  # fmt: skip


def c3vd(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0) / 60, depth_of(1) / 60]
    video = root / "cecum_t1_a"
    for index in range(2):
        save_image(video / f"{index:04d}_color.png", images[index])
        values = codes(depths[index], 655350)
        values[5, 5] = 65535
        save(video / f"{index:04d}_depth.tiff", values)
    rows = [np.vstack([np.column_stack([POSE[:3, :3], POSE[:3, 3] * 1000]), EYE[3]]).T for _ in range(2)]
    save_text(video / "pose.txt", *(words(row, ",") for row in rows))
    expected = [stored(depth, 655350) for depth in depths]
    for depth in expected:
        depth[5, 5] = np.nan
    focal = 767.5 * WIDTH / 1350
    centre = (679.044839 * WIDTH / 1350 - 0.5, 543.475888 * HEIGHT / 1080 - 0.5)
    return Made(
        root, "c3vd", images, expected, (focal, focal * HEIGHT / WIDTH * 1350 / 1080, *centre),
        video / "0000_depth.tiff", POSE, {"all": 2},
    )  # fmt: skip


def simcol(root: Path) -> Made:
    images, depths = [image_of(0), image_of(1)], [depth_of(0) / 30, depth_of(1) / 30]
    colon = root / "SyntheticColon_I"
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    unity = flip @ POSE @ flip
    for sequence in ("S5", "S1"):
        for index in range(2):
            opaque = np.dstack([images[index][..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
            save(colon / f"Frames_{sequence}/FrameBuffer_{index:04d}.png", opaque)
            save(colon / f"Frames_{sequence}/Depth_{index:04d}.png", codes(depths[index], 326400))
        rotation = Rotation.from_matrix(unity[:3, :3]).as_quat()
        save_text(colon / f"SavedPosition_{sequence}.txt", *[words(unity[:3, 3] * 100)] * 2)
        save_text(colon / f"SavedRotationQuaternion_{sequence}.txt", *[words(rotation)] * 2)
    save_text(colon / "cam.txt", words(matrix_of(INTRINSICS)))
    save_text(root / "train_file.txt", "SyntheticColon_I/Frames_S1/")
    return Made(
        root, "simcol", images, [stored(depth, 326400) for depth in depths], INTRINSICS,
        colon / "Frames_S5/Depth_0000.png", POSE, {"test": 2, "train": 2, "all": 4},
    )  # fmt: skip


def arkitscenes(root: Path) -> Made:
    """Raw: images with laser depth of four times the LiDAR's resolution."""
    images, depths = [image_of(0), image_of(1)], [depth_of(0), depth_of(1)]
    video = root / "raw/Validation/41069021"
    coarse = depth_of(2, WIDTH // 4, HEIGHT // 4)
    sure = np.full(coarse.shape, 2, np.uint8)
    sure[:, 5] = 1
    for stamp, image, depth in zip(("305.244", "307.343"), images, depths, strict=True):
        name = f"41069021_{stamp}.png"
        save_image(video / "wide" / name, image)
        save(video / "highres_depth" / name, codes(depth, 1000))
        save(video / "lowres_depth" / name, codes(coarse, 1000))
        save(video / "confidence" / name, sure)
    intrinsics = words([WIDTH, HEIGHT, *INTRINSICS])
    save_text(video / "wide_intrinsics/41069021_305.245.pincam", intrinsics)
    save_text(video / "wide_intrinsics/41069021_307.343.pincam", intrinsics)
    inverse = np.linalg.inv(POSE)
    turned = cv2.Rodrigues(inverse[:3, :3])[0].ravel()
    save_text(video / "lowres_wide.traj", f"305.21 {words([*turned, *inverse[:3, 3]])}")
    sparse = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    sparse[2::4, 2::4] = np.where(sure == 2, stored(coarse, 1000), np.nan)
    return Made(
        root, "arkitscenes", images, [stored(depth, 1000) for depth in depths], INTRINSICS,
        video / "highres_depth/41069021_305.244.png", POSE, {"val": 2, "all": 2}, sparse,
    )  # fmt: skip


LAYOUTS: dict[str, Callable[[Path], Made]] = {
    maker.__name__: maker
    for maker in (
        nyuv2, nyuv2_sync, void, sun_rgbd, hypersim, ibims, ibims_raw, diode, scannet, scannet_sens, eth3d,
        tum_rgbd, c3vd, simcol, arkitscenes,
    )
}  # fmt: skip
