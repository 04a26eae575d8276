"""What is wrong with inputs although they can be read: one line each with the fix, or None.

The pipeline, the node, offline runs and ``solve`` share them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from metric_depth_ros.anchors import in_same_places, inside_image
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import project
from metric_depth_ros.messages import is_named_rectified
from metric_depth_ros.types import Anchors, Camera, FloatArray, SourcePoints, frame_name

# Points that are looked at, evenly spaced in their order.
_LOOKED_AT = 2000
# The picture is divided into so many parts each way, to see where points fall whatever their density.
_PARTS = 8
# Points of a sensor around the robot are seen in at least so many parts.
_LEAST_PARTS = 4
# With so many times the parts seen along x as along z, the geometry alone tells that x is forward.
_MANY_TIMES = 4
# Two z axes point the same way: less than 45 degrees apart.
_SAME_WAY = 0.7
# Optical axes (x right, y down, z forward) from those of a body (x forward, y left, z up).
_R_OPTICAL_BODY = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], np.float32)
# Frames of bodies by convention (REP 103 has _optical behind them for the camera's own).
_BODY = re.compile(r"(^|[/_])(base|body|frame|link|mount)$")
# Hardly anything is measured nearer than this many millimetres, or farther than this many metres.
_MILLIMETRES = 200.0
_NEARLY_ALL = 0.9
# Sources contradict each other if the logarithms of depth differ by more, in most of at least so many places.
_FEW_PLACES = 10
_DIFFERENT = 0.1
_MOST_PLACES = 0.75
# Coordinates are too coarse in larger steps: float32 beyond 65 km.
_COARSE_M = 0.007
_HARDLY = 0.02


def refuse(finding: str | None) -> None:
    """Raises InputError with a finding, if there is one."""
    if finding is not None:
        raise InputError(finding)


def frame_not_optical(
    points: FloatArray, camera: Camera, frame_id: str, points_up: FloatArray | None, *, certain: bool = True
) -> str | None:
    """That the image's frame is a body's (x forward, z up), though its picture is an ordinary one.

    Points must be seen if the body's x is taken as the optical axis. Evidence: the points' z axis, which is
    up for nearly all sensors and maps, is also the frame's; the frame has the name of a body; hardly any
    point is seen along z. Two of these are certain. A frame with "optical" in its name is believed.

    Args:
        points: (N, 3) in the image's frame.
        frame_id: of the image; empty if ``extrinsics`` gives the rotation and not tf.
        points_up: (3,) z axis of the points' own frame in the image's; None: unknown, or the same frame.
        certain: False asks for what is likely, but may also be a camera that looks up.
    """
    found = _against_optical(points, camera, frame_id, points_up)
    if found is None or (certain and found[0] < 2):
        return None
    return _not_optical(frame_id, f"{'is' if certain else 'may be'} no optical frame", found[1])


def frame_in_doubt(
    points: FloatArray, camera: Camera, frame_id: str, points_up: FloatArray | None
) -> str | None:
    """That the image's frame may be a body's, as of ``frame_not_optical``; InputError if it certainly is."""
    found = _against_optical(points, camera, frame_id, points_up)
    if found is None:
        return None
    if found[0] >= 2:
        raise InputError(_not_optical(frame_id, "is no optical frame", found[1]))
    return _not_optical(frame_id, "may be no optical frame", found[1])


def _against_optical(
    points: FloatArray, camera: Camera, frame_id: str, points_up: FloatArray | None
) -> tuple[int, str] | None:
    """How many things say that the image's frame is a body's, and what is seen; None: at most its name."""
    if "optical" in frame_id.lower() or (points_up is not None and points_up[2] < _SAME_WAY):
        return None
    few = _some(points)
    along_x = _parts_seen(few @ _R_OPTICAL_BODY.T, camera)
    if along_x < _LEAST_PARTS:
        return None
    along_z = _parts_seen(few, camera)
    named = _BODY.search(frame_id.lower()) is not None
    beside_name = (points_up is not None) + (along_x >= _MANY_TIMES * along_z)
    if not beside_name:
        return None
    seen = f"along its z axis {along_z} of {_PARTS**2} parts of the picture have points, along x {along_x}"
    return named + beside_name, seen


def _not_optical(frame_id: str, claim: str, seen: str) -> str:
    axes = "(x right, y down, z forward)"
    if not frame_id:
        return (
            f"extrinsics.rotation: what it turns to {claim} {axes}: {seen}. Give the rotation to the "
            "camera's optical frame: [0.5, -0.5, 0.5, 0.5] for a sensor that looks ahead as the camera does. "
            "If it is right, set input.frame: optical."
        )
    frame = frame_name(frame_id)
    child = f"{re.sub('_(link|frame)$', '', frame)}_optical_frame"
    return (
        f"image: frame {frame_id!r} {claim} {axes}: {seen}. Let the driver stamp images with {child}, and "
        "publish that: ros2 run tf2_ros static_transform_publisher --roll -1.5708 --yaw -1.5708 --frame-id "
        f"{frame} --child-frame-id {child}. If the camera does look along this z axis, set "
        "input.frame: optical."
    )


def _parts_seen(points: FloatArray, camera: Camera) -> int:
    """In how many parts of the picture there are points (N, 3) of the optical frame."""
    uv, _ = project(points, camera)
    uv = uv[inside_image(uv, camera.width, camera.height)]
    column, row = (uv * _PARTS / [camera.width, camera.height]).astype(np.intp).T
    return len(np.unique(row * _PARTS + column))


def _some(points: FloatArray) -> FloatArray:
    """Evenly spaced points of many."""
    return points[:: max(1, len(points) // _LOOKED_AT)]


def depth_in_view(points: FloatArray, camera: Camera) -> FloatArray:
    """Depth (M,) of some of the points (N, 3) of the optical frame that are in view, at most about 2000."""
    uv, depth = project(_some(points), camera)
    return depth[inside_image(uv, camera.width, camera.height)]


def in_millimetres(depth: FloatArray, max_depth_m: float, what: str, setting: str) -> str | None:
    """That depth (N,) is in millimetres: nearly all is farther than ``max_depth_m`` and than 200 m.

    Args:
        what, setting: names of the input and of the limit, for the message.
    """
    known = depth[depth > 0]
    if not len(known) or np.mean(known > max(max_depth_m, _MILLIMETRES)) < _NEARLY_ALL:
        return None
    return (
        f"{what}: median depth {np.median(known):.0f} m, beyond {setting} ({max_depth_m:g} m); needed "
        f"metres. They look like millimetres: divide by 1000. If they are so far away, raise {setting}."
    )


def too_far(depth: FloatArray, max_depth_m: float, what: str, setting: str) -> str | None:
    """That all of a depth (N,) is farther than ``max_depth_m``; arguments as of ``in_millimetres``."""
    known = depth[depth > 0]
    if not len(known) or known.min() <= max_depth_m:
        return None
    return (
        f"{what}: all {len(known)} are beyond {setting} ({max_depth_m:g} m), the nearest at "
        f"{known.min():.3g} m. Raise {setting}."
    )


def sources_contradict(by_source: Mapping[str, Anchors], camera: Camera) -> list[str]:
    """That two sources differ in most places that both see, one way, by more than 10 % and 3 sigma."""
    return [*filter(None, (_contradict(*pair, camera) for pair in combinations(by_source.items(), 2)))]


def _contradict(one: tuple[str, Anchors], other: tuple[str, Anchors], camera: Camera) -> str | None:
    of_one, of_other = in_same_places(one[1], other[1], camera)
    if len(of_one) < _FEW_PLACES:
        return None
    a, b = one[1].take(of_one), other[1].take(of_other)
    apart = np.log(a.depth / b.depth)
    most = np.maximum(_DIFFERENT, 3 * np.hypot(a.sigma / a.depth, b.sigma / b.depth))
    if max(np.mean(apart > most), np.mean(apart < -most)) < _MOST_PLACES:
        return None
    times = np.exp(np.median(apart))
    return (
        f"sources {one[0]} and {other[0]}: {one[0]} is {times:.3g} times as deep as {other[0]} in {len(a)} "
        "places that both see; needed the same depth. One of them is wrong: compare their units, "
        "transforms and time offsets, or leave one out of anchors.sources."
    )


def too_coarse(source: SourcePoints) -> str | None:
    """That coordinates are too large for their numbers, as those of UTM for float32."""
    if source.step_m < _COARSE_M:
        return None
    return (
        f"points of {source.name}: coordinates so large that float32 has steps of {source.step_m:.1g} m; "
        "depth is wrong by as much. Publish them as FLOAT64, or in a frame with its origin near the robot."
    )


def where_points_fall(points: FloatArray, camera: Camera) -> str | None:
    """Where points (N, 3) of the optical frame are, if hardly any is in view; else None."""
    few = _some(points)
    uv, _ = project(few, camera)
    seen = inside_image(uv, camera.width, camera.height)
    if not len(few) or seen.mean() > _HARDLY:
        return None
    behind = few[:, 2] <= 0
    if behind.mean() > _NEARLY_ALL:
        return (
            f"{100 * behind.mean():.0f} % of the points lie behind the camera or beside it (depth 0). "
            "Check the transform from their frame to the image's, and whether both frames are the right ones."
        )
    x, y, _ = np.median(few[~behind], axis=0)
    sides = {"right": x, "left": -x, "below": y, "above": -y}
    side = max(sides, key=lambda name: sides[name])
    return (
        f"{100 * (1 - seen.mean()):.0f} % of the points are out of view ({100 * behind.mean():.0f} % behind "
        f"the camera, most others {side}). Check that the sensor looks where the camera does, and the "
        "transform from its frame to the image's."
    )


def off_by_a_thousand(depth: FloatArray, expected: FloatArray) -> str | None:
    """That anchors of depth (N,) are not in metres, by the depth (N,) in metres that a prior expects."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = depth / expected
    ratio = ratio[np.isfinite(ratio)]
    middle = float(np.median(ratio)) if len(ratio) else 1.0
    if not (300 < max(middle, 1 / middle) < 3000):
        return None
    unit, fix = ("millimetres", "divide") if middle > 1 else ("kilometres", "multiply")
    return (
        f"anchors: {middle:.3g} times as deep as the prior expects; needed metres. They look like {unit}: "
        f"{fix} by 1000."
    )


def another_camera(topic: str, frames: Sequence[str], frame_id: str, fitting: Sequence[str] = ()) -> str:
    """That camera_infos are of other frames than the images, and none of their stamps.

    Args:
        frames: of the camera_infos on the topic.
        frame_id: of the images.
        fitting: topics of camera_infos of that frame.
    """
    fix = f"Remap camera_info to {fitting[0]}" if fitting else "Remap camera_info"
    return (
        f"camera_info: none on {topic} of the image's stamp, nor of its frame {frame_id!r}; needed one. They "
        f"are of frame {', '.join(map(repr, frames))}. {fix}, or publish it with the frame of the images."
    )


def rectified_twice(rectification: str, topic: str, camera: Camera) -> str | None:
    """That an image which its topic's name calls rectified is about to be rectified again."""
    if rectification != "rectify" or not camera.distorted or not is_named_rectified(topic):
        return None
    return (
        f"input.rectification: rectify, but {topic} has the name of rectified images, and D is not zero: "
        "they would be rectified twice. Set input.rectification: auto."
    )


def taken_as_rectified(rectification: str, topic: str) -> str | None:
    """That the name of an image's topic decides that it is not rectified again."""
    if rectification != "auto" or not is_named_rectified(topic):
        return None
    return (
        f"{topic}: taken as rectified, as it is called; if these images are raw, set input.rectification: "
        "rectify."
    )


def place(finding: str) -> str:
    """Where a finding or failure is: the part of "where: what was found; ..." before the colon."""
    return finding.split(":")[0]
