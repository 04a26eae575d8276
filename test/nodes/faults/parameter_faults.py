"""Faults of parameters, and of the topics that set them."""

import math

from fault_campaign import NONE_OR_RIGHT, RIGHT, Fault, Stream, within
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import Float32, String

DOUBLE, TEXT = ParameterType.PARAMETER_DOUBLE, ParameterType.PARAMETER_STRING


def refused(name, value, words):
    """A value that must be refused, with the reason."""

    def act(stream: Stream) -> None:
        result = stream.peer.set_parameter(name, value)
        assert not result.successful and words in result.reason, result
        assert len(result.reason) < 5000
        stream.go_on(0.2)

    return act


def changed(*settings):
    """Values that are taken for a moment; the first one of the list holds again afterwards."""

    def act(stream: Stream) -> None:
        for name, value in [*settings[1:], settings[0]]:
            assert stream.peer.set_parameter(name, value).successful
            stream.go_on(0.2)

    return act


def storm(stream: Stream) -> None:
    """Three hundred requests without waiting for an answer, every second of them wrong."""
    client = stream.peer.create_client(SetParameters, "/metric_depth_node/set_parameters")
    assert client.wait_for_service(10.0)
    futures = []
    for index in range(300):
        focus = float(index % 7) if index % 2 else -1.0
        value = ParameterValue(type=DOUBLE, double_value=focus)
        parameter = Parameter(name="solver.focus_m", value=value)
        futures.append(client.call_async(SetParameters.Request(parameters=[parameter])))
    stream.go_on(0.5)
    assert stream.peer.wait(futures[-1].done)
    stream.peer.destroy_client(client)
    assert stream.peer.set_parameter("solver.focus_m", 0.0).successful


def many_at_once(stream: Stream) -> None:
    """A request with ten thousand unknown names."""
    parameters = [
        Parameter(name=f"unknown.{index}", value=ParameterValue(type=TEXT, string_value="x"))
        for index in range(10_000)
    ]
    found = stream.peer.call(SetParameters, "set_parameters", parameters=parameters).results
    assert not any(one.successful for one in found)


def says(kind, topic, *values):
    """Messages on a topic that sets a parameter; at the end an empty one."""

    def act(stream: Stream) -> None:
        publisher = stream.peer.create_publisher(kind, topic, 10)
        assert stream.peer.wait(publisher.get_subscription_count)
        for value in [*values, kind().data]:
            publisher.publish(kind(data=value))
            stream.go_on(0.15)
        stream.peer.destroy_publisher(publisher)

    return act


SOLVERS = ("auto", "median", "global_affine", "piecewise", "lwlr", "grid", "region_aware", "auto")
FAULTS = [
    Fault("below the range", refused("solver.focus_m", -3.0, "solver.focus_m"), published=RIGHT),
    Fault("above the range", refused("cloud.stride", 10**9, "out of range"), published=RIGHT),
    Fault("NaN", refused("cloud.max_depth_m", math.nan, "cloud.max_depth_m"), published=RIGHT),
    Fault("infinite", refused("sync.max_wait_s", math.inf, "sync.max_wait_s"), published=RIGHT),
    Fault("another type", refused("solver.focus_m", "near", "number"), published=RIGHT),
    Fault("no choice", refused("solver.name", "best", "global_affine"), published=RIGHT),
    Fault("unknown name", refused("solver.nam", 1.0, "undeclared"), published=RIGHT),
    Fault("a list too short", refused("extrinsics.translation", [0.0], "list of 3"), published=RIGHT),
    Fault("a list of NaN", refused("extrinsics.translation", [math.nan] * 3, "list of 3"), published=RIGHT),
    Fault("a quaternion of 0", refused("extrinsics.rotation", [0.0] * 4, "quaternion"), published=RIGHT),
    Fault("minimum above maximum", refused("anchors.min_depth_m", 900.0, "max_depth_m"), published=RIGHT),
    Fault("read-only", refused("engine.manifest", "other.yaml", "read-only"), published=RIGHT),
    Fault("200,000 letters", refused("solver.name", "x" * 200_000, "solver.name"), published=RIGHT),
    Fault("300 requests at once", storm, published=RIGHT),
    Fault("10,000 names in a request", within(many_at_once), published=RIGHT),
    Fault("solvers in turn", changed(*(("solver.name", name) for name in SOLVERS)), published=NONE_OR_RIGHT),
    Fault("a tenth of the size", changed(("output.scale", 1.0), ("output.scale", 0.1)), published=RIGHT),
    Fault(
        "16UC1 in turn with 32FC1",
        changed(("output.encoding", "32FC1"), *(("output.encoding", e) for e in ("16UC1", "32FC1") * 3)),
        published=RIGHT,
    ),
    Fault(
        "more anchors than there are",
        changed(("anchors.min_count", 3), ("anchors.min_count", 100_000)),
        "need 100000",
        NONE_OR_RIGHT,
    ),
    Fault(
        "no points in range",
        changed(("anchors.max_depth_m", 200.0), ("anchors.max_depth_m", 0.2)),
        "anchors",
        NONE_OR_RIGHT,
    ),
    Fault(
        "a frame that is not there",
        changed(("sync.fixed_frame", ""), ("sync.fixed_frame", "moon")),
        "moon",
        NONE_OR_RIGHT,
    ),
    Fault(
        "focuses by topic: NaN, infinite, negative",
        says(Float32, "focus", math.nan, math.inf, -1.0, 1e30),
        "focus",
        RIGHT,
    ),
    Fault(
        "a description of 200,000 letters",
        says(String, "description", "x" * 200_000),
        published=NONE_OR_RIGHT,
    ),
]
GROUPS = {"parameters": ({}, {}, FAULTS)}
