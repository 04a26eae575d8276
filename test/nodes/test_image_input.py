"""The node's images as drivers publish them.

Calibrations that are latched, unstamped or another frame's, JPEG alone, names of rectified images, frames
that are not optical.
"""

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from peer import CAMERA, LATCHED, scene, start_node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, ros_arguments
from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud
from metric_depth_ros.types import Camera

pytestmark = pytest.mark.timeout(120)


def expect_depth(depth):
    np.testing.assert_allclose(messages.read_depth(depth), scene()[1], rtol=2e-3)


@pytest.mark.parametrize("first", ["camera_info", "node"])
def test_a_latched_camera_info_holds_for_all_images(graph, peer, toy_manifest, first):
    peer.destroy_publisher(peer.infos)
    _, info, _ = peer.messages()

    def latch():
        peer.infos = peer.create_publisher(CameraInfo, "camera_info", LATCHED)
        peer.infos.publish(info)

    if first == "camera_info":
        latch()
    else:
        peer.infos = peer.create_publisher(CameraInfo, "camera_info", 1)
    start_node(graph, peer, toy_manifest)
    if first == "node":
        peer.destroy_publisher(peer.infos)
        latch()

    def answer():
        image, _, cloud = peer.messages()
        return peer.answer(image, None, cloud, timeout_s=1.0)

    assert peer.wait(answer, timeout_s=30), graph.log("node")
    for _ in range(5):
        expect_depth(answer())
    peer.stamp_ns -= 50_000_000_000  # a bag loops
    answer()  # the first image waits for the next, as its stamp alone may be wrong
    expect_depth(answer())


def test_a_camera_info_without_a_stamp_holds_and_own_ones_are_taken_again(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)

    def answer(focal=50.0, *, stamped=False):
        image, _, cloud = peer.messages()
        info = messages.camera_info_fields(
            Camera(64, 48, np.array([[focal, 0, 31.5], [0, focal, 23.5], [0, 0, 1]]))
        )
        stamp_ns = messages.stamp_ns(image) if stamped else 0
        filled = fill_camera_info(info, stamp_ns=stamp_ns, frame_id="camera")
        return peer.answer(image, filled, cloud, timeout_s=1.0)

    assert peer.wait(answer, timeout_s=30), graph.log("node")
    expect_depth(answer())
    zoomed = answer(60.0, stamped=True)
    assert peer.wait(lambda: peer.depth_infos[-1].header == zoomed.header)
    assert peer.depth_infos[-1].k[0] == 60.0


def test_a_bad_stamp_of_camera_info_is_named_and_the_calibration_before_it_holds(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)
    assert peer.good_answer() is not None

    def answer():
        image, info, cloud = peer.messages()
        info.header.stamp.sec = -5
        return peer.answer(image, info, cloud, timeout_s=1.0)

    assert peer.wait(answer)
    expect_depth(answer())
    assert "camera_info: stamp: -5 s" in graph.log("node")


def test_a_camera_info_of_another_frame_is_no_calibration(graph, peer, toy_manifest):
    start_node(graph, peer, toy_manifest)

    def says_so():
        image, info, cloud = peer.messages()
        info.header.frame_id, info.header.stamp.sec = "other_camera", 0
        assert peer.answer(image, info, cloud, timeout_s=0.2) is None
        return peer.says("nor of its frame 'camera'; needed one. They are of frame 'other_camera'", 0)

    assert peer.wait(says_so), graph.log("node")


def test_compressed_images_alone_need_no_setting(graph, peer, toy_manifest):
    peer.destroy_publisher(peer.images)
    peer.images = None
    settings = {"engine.manifest": toy_manifest, "anchors.grid_px": 0, "extrinsics.source": "parameters"}
    graph.start("node", [*NODE, *ros_arguments(settings, {})])

    def answer():
        image, info, cloud = peer.messages()
        packed = cv2.imencode(".png", scene()[0])[1].tobytes()
        sent = CompressedImage(header=image.header, format="rgb8; png compressed bgr8", data=packed)
        return peer.answer(sent, info, cloud, timeout_s=0.5)

    assert peer.wait(answer, timeout_s=60), graph.log("node")
    expect_depth(peer.depths[-1])
    assert not peer.get_subscriptions_info_by_topic("/image")


@pytest.mark.parametrize(
    ("rectification", "words"),
    [("auto", "/left/image_rect: taken as rectified"), ("rectify", "they would be rectified twice")],
)
def test_a_topic_called_rect_is_not_rectified_again_in_silence(
    graph, peer, toy_manifest, rectification, words
):
    peer.destroy_publisher(peer.images)
    peer.images = peer.create_publisher(Image, "/left/image_rect", 5)
    bent = messages.camera_info_fields(Camera(64, 48, CAMERA.K, "plumb_bob", (-0.3, 0.1, 0, 0, 0)))
    settings = {
        "engine.manifest": toy_manifest,
        "anchors.grid_px": 0,
        "extrinsics.source": "parameters",
        "input.rectification": rectification,
        "diagnostics.period_s": 0.2,
    }
    graph.start("node", [*NODE, *ros_arguments(settings, {"image": "/left/image_rect"})])

    def answer():
        image, info, cloud = peer.messages()
        info = fill_camera_info(bent, stamp_ns=messages.stamp_ns(image), frame_id="camera")
        return peer.answer(image, info, cloud, timeout_s=0.5)

    assert peer.wait(answer, timeout_s=60), graph.log("node")
    same = np.allclose(messages.read_depth(answer()), scene()[1], rtol=2e-3)
    assert same == (rectification == "auto")
    assert peer.wait(lambda: words in graph.log("node"))
    assert rectification == "auto" or peer.says(words)


@pytest.mark.parametrize(
    ("frame", "words", "refused"),
    [
        ("camera_link", "frame 'camera_link' is no optical frame", True),
        ("camera", "frame 'camera' may be no optical frame", False),
    ],
)
def test_an_image_s_frame_that_is_not_optical_is_named(graph, peer, toy_manifest, frame, words, refused):
    """The wall ahead in axes of the body, as with Gazebo's camera_link, and a ceiling."""
    start_node(graph, peer, toy_manifest)  # tf: lidar and camera have the same axes
    peer.mount("camera", "camera_link")
    body = scene()[2] @ np.float32([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    ceiling = np.float32([0, 0, 4]) + np.random.default_rng(0).uniform(-2, 2, (500, 3)).astype(np.float32)
    fields = messages.points_fields(np.concatenate([body, ceiling]))

    def says_so():
        image, info, _ = peer.messages()
        image.header.frame_id = frame
        cloud = fill_cloud(fields, stamp_ns=messages.stamp_ns(image), frame_id="lidar")
        peer.answer(image, info, cloud, timeout_s=0.3)
        return peer.says(words, 0)

    assert peer.wait(says_so), graph.log("node")
    assert (not peer.depths) == refused
