"""Faults of parameters, and of the topics that set them."""

import math

from fault_campaign import NONE_OR_RIGHT, QUIET, RIGHT, Fault, Stream, within
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import Float32, String

DOUBLE, TEXT = ParameterType.PARAMETER_DOUBLE, ParameterType.PARAMETER_STRING


def refused(title, name, value, words):
    """A value that must be refused, with the reason."""

    def act(stream: Stream) -> None:
        result = stream.peer.set_parameter(name, value)
        assert not result.successful and len(result.reason) < 5000, result
        stream.answers.append(result.reason)
        stream.go_on(0.2)

    return Fault(title, act, words, RIGHT)


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
    wrong = next(future for future in futures[::2] if future.done())  # a queue may drop some
    stream.answers.append(wrong.result().results[0].reason)
    stream.peer.destroy_client(client)
    assert stream.peer.set_parameter("solver.focus_m", 0.0).successful


def many_at_once(stream: Stream) -> None:
    """A request with ten thousand unknown names."""
    parameters = [
        Parameter(name=f"unknown.{index}", value=ParameterValue(type=TEXT, string_value="x"))
        for index in range(10_000)
    ]
    found = stream.peer.call(SetParameters, "set_parameters", parameters=parameters).results
    assert len(found) == 10_000 and not any(one.successful for one in found)
    stream.answers.append(found[-1].reason)


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
    refused("below the range", "solver.focus_m", -3.0, "solver.focus_m"),
    refused("above the range", "cloud.stride", 10**9, "out of range"),
    refused("NaN", "cloud.max_depth_m", math.nan, "cloud.max_depth_m"),
    refused("infinite", "sync.max_wait_s", math.inf, "sync.max_wait_s"),
    refused("another type", "solver.focus_m", "near", "number"),
    refused("no choice", "solver.name", "best", "global_affine"),
    refused("unknown name", "solver.nam", 1.0, "undeclared"),
    refused("a list too short", "extrinsics.translation", [0.0], "list of 3"),
    refused("a list of NaN", "extrinsics.translation", [math.nan] * 3, "list of 3"),
    refused("a quaternion of 0", "extrinsics.rotation", [0.0] * 4, "quaternion"),
    refused("minimum above maximum", "anchors.min_depth_m", 900.0, "max_depth_m"),
    refused("read-only", "engine.manifest", "other.yaml", "read-only"),
    refused("200,000 letters", "solver.name", "x" * 200_000, "solver.name"),
    Fault("300 requests at once", storm, "solver.focus_m out of range", RIGHT),
    Fault("10,000 names in a request", within(many_at_once), "undeclared", RIGHT),
    Fault("solvers in turn", changed(*(("solver.name", name) for name in SOLVERS)), QUIET, NONE_OR_RIGHT),
    Fault("a tenth of the size", changed(("output.scale", 1.0), ("output.scale", 0.1)), QUIET, RIGHT),
    Fault(
        "16UC1 in turn with 32FC1",
        changed(("output.encoding", "32FC1"), *(("output.encoding", e) for e in ("16UC1", "32FC1") * 3)),
        QUIET,
        RIGHT,
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
        QUIET,
        NONE_OR_RIGHT,
    ),
]
GROUPS = {"parameters": ({}, {}, FAULTS)}
