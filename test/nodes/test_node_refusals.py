"""One metric_depth_node that gets bad parameters and bad input, says so, and goes on."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from peer import Peer, scene, start_node
from sensor_msgs.msg import PointField

from metric_depth_ros import messages
from metric_depth_ros.cli.live import Graph

pytestmark = pytest.mark.timeout(120)
ERROR = b"\x02"


@pytest.fixture(scope="module")
def steady(ros, toy_manifest, tmp_path_factory):
    """One node for all tests that leave it as it is; yields its peer and its graph."""
    peer = Peer()
    with Graph(tmp_path_factory.mktemp("steady"), apart=False) as graph:
        start_node(graph, peer, toy_manifest, **{"sync.max_cloud_age_s": 0.05})
        assert peer.good_answer() is not None, graph.log("node")
        yield peer, graph
    peer.close()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("solver.focus_m", -3.0, "solver.focus_m"),
        ("solver.focus_m", "near", "number"),
        ("solver.name", "best", "global_affine"),
        ("cloud.stride", 0, "cloud.stride"),
        ("anchors.min_depth_m", 900.0, "anchors.max_depth_m"),
        ("extrinsics.rotation", [0.0, 0.0, 0.0, 0.0], "quaternion"),
        ("extrinsics.translation", [0.0, 0.0], "list of 3"),
        ("engine.manifest", "other.yaml", "read-only"),
        ("solver.nam", 1.0, "undeclared"),
    ],
)
def test_wrong_values_are_refused_with_the_reason_and_change_nothing(steady, name, value, words):
    running, _ = steady
    result = running.set_parameter(name, value)
    assert not result.successful
    assert words in result.reason
    np.testing.assert_allclose(messages.read_depth(running.good_answer()), scene()[1], rtol=2e-3)


def test_parameters_are_described(steady):
    running, _ = steady
    focus = running.describe_parameter("solver.focus_m")
    assert "sliding anchor" in focus.description
    assert (focus.floating_point_range[0].from_value, focus.floating_point_range[0].to_value) == (0.0, 1000.0)
    assert running.describe_parameter("cloud.stride").integer_range[0].to_value == 64
    assert running.describe_parameter("engine.manifest").read_only


def bad_messages():
    """What can be wrong with one sample: name, a change of the three messages, words of the complaint."""

    def encoding(image, info, cloud):
        image.encoding = "yuv_unheard_of"

    def truncated_image(image, info, cloud):
        image.data = image.data[:100]

    def empty_image(image, info, cloud):
        image.width = image.height = 0

    def zero_K(image, info, cloud):
        info.k, info.p = np.zeros(9), np.zeros(12)

    def other_size(image, info, cloud):
        info.width, info.height = 1280, 960

    def unknown_distortion(image, info, cloud):
        info.distortion_model, info.d = "thin_plate", [0.1]

    def empty_cloud(image, info, cloud):
        cloud.width, cloud.row_step, cloud.data = 0, 0, b""

    def nan_cloud(image, info, cloud):
        points = np.full((len(cloud.data) // cloud.point_step, cloud.point_step // 4), np.nan, np.float32)
        points[::2] = np.inf
        cloud.data = points.tobytes()

    def truncated_cloud(image, info, cloud):
        cloud.data = cloud.data[:50]

    def no_z(image, info, cloud):
        cloud.fields = [field for field in cloud.fields if field.name != "z"]

    def odd_type(image, info, cloud):
        cloud.fields = [
            PointField(name=f.name, offset=f.offset, datatype=PointField.INT8, count=1) for f in cloud.fields
        ]

    def old_cloud(image, info, cloud):
        cloud.header.stamp.sec = 0

    def before_time(image, info, cloud):
        image.header.stamp.sec = -1

    def no_rotation(image, info, cloud):
        info.r = np.full(9, np.nan)

    def no_tf(image, info, cloud):
        cloud.header.frame_id = "radar"

    def no_frame(image, info, cloud):
        image.header.frame_id = info.header.frame_id = ""

    cases = {
        encoding: "yuv_unheard_of", truncated_image: "image", empty_image: "image", zero_K: "not calibrated",
        other_size: "1280x960", unknown_distortion: "thin_plate",
        empty_cloud: "0 usable", nan_cloud: "0 usable",
        truncated_cloud: "", no_z: "z", odd_type: "", old_cloud: "no cloud for the image",
        before_time: "stamp: -1 s",
        no_rotation: "needed a rotation", no_tf: "radar", no_frame: "no frame_id",
    }  # fmt: skip
    return [pytest.param(change, words, id=change.__name__) for change, words in cases.items()]


@pytest.mark.parametrize(("change", "words"), bad_messages())
def test_bad_input_is_named_and_survived(steady, change, words):
    peer, graph = steady
    image, info, cloud = peer.messages()
    change(image, info, cloud)
    before = len(peer.statuses)
    assert peer.answer(image, info, cloud, timeout_s=1.0) is None
    assert peer.wait(lambda: any(s.level == ERROR and words in s.message for s in peer.statuses[before:])), [
        s.message for s in peer.statuses[before:]
    ]
    assert words in graph.log("node")
    np.testing.assert_allclose(messages.read_depth(peer.good_answer()), scene()[1], rtol=2e-3)
    assert peer.wait(lambda: "publishing at" in peer.statuses[-1].message)


def test_a_big_endian_cloud_is_read(steady):
    running, _ = steady
    image, info, cloud = running.messages()
    little = np.frombuffer(cloud.data, "<f4")
    cloud.is_bigendian, cloud.data = True, little.astype(">f4").tobytes()
    np.testing.assert_allclose(messages.read_depth(running.answer(image, info, cloud)), scene()[1], rtol=2e-3)
