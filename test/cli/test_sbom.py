"""The bill of materials holds all that is shipped."""

import hashlib
import json
from email.message import Message
from importlib.metadata import Distribution, requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from metric_depth_ros.cli.main import main
from metric_depth_ros.share import share_path

MODELS = share_path("config/models")


@pytest.fixture(scope="module")
def bill():
    return told()


def told():
    from metric_depth_ros.cli.materials import bill_of_materials

    return bill_of_materials()


def licence(part):
    (given,) = part["licenses"]
    return given.get("expression") or given["license"].get("id") or given["license"]["name"]


def reached(bill, *names):
    """References below the named parts, without names below the package itself."""
    below = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    found = set()
    waiting = [ref for ref in below if ref.rpartition("@")[0] in (names or ("metric_depth_ros",))]
    while waiting:
        new = set(below[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def test_it_is_printed_as_cyclonedx(bill, capsys):
    assert main(["sbom"]) == 0
    assert json.loads(capsys.readouterr().out) == bill
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["name"] == "metric_depth_ros"
    refs = [part["bom-ref"] for part in bill["components"]]
    assert len(set(refs)) == len(refs)
    assert {each["ref"] for each in bill["dependencies"]} == {*refs, bill["metadata"]["component"]["bom-ref"]}
    assert reached(bill) == set(refs)
    assert told() == bill


def test_every_model_file_is_in_it_with_its_hash_and_licence(bill):
    parts = {p["name"]: p for p in bill["components"] if p["type"] == "machine-learning-model"}
    files = {path.name: path for path in MODELS.iterdir() if path.suffix != ".yaml"}
    assert parts.keys() == files.keys()
    licences = {yaml.safe_load(path.read_text())["licence"] for path in MODELS.glob("*.yaml")}
    for name, path in files.items():
        assert parts[name]["hashes"] == [
            {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}
        ]
        assert licence(parts[name]) in licences
        assert parts[name]["description"]


def test_every_runtime_dependency_is_in_it_with_version_and_licence(bill):
    parts = {p["name"]: p for p in bill["components"] if p.get("purl", "").startswith("pkg:pypi/")}
    asked = map(Requirement, requires("metric_depth_ros"))
    needed = {each.name for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})}
    assert set(map(canonicalize_name, needed)) <= set(map(canonicalize_name, parts))
    for name in parts:
        assert licence(parts[name]) and parts[name]["version"]


def test_ros_packages_are_in_it(bill):
    pytest.importorskip("rclpy")
    parts = {part["name"]: part for part in bill["components"]}
    for name in ("rclpy", "sensor_msgs", "diagnostic_msgs"):
        assert parts[name]["version"] and licence(parts[name]) == "Apache-2.0"


def test_the_middleware_is_in_it_below_rclpy(bill):
    pytest.importorskip("rclpy")
    below = {ref.rpartition("@")[0].removeprefix("ros-").replace("-", "_") for ref in reached(bill, "rclpy")}
    assert {"rcl", "rmw", "rmw_implementation", "rmw_fastrtps_cpp"} <= below
    if "ros-rclpy" in {part["name"] for part in bill["components"]}:
        assert {"fastdds", "fastcdr"} <= below or "fastrtps" in below


def test_ros_packages_of_no_wheel_bring_what_they_need(tmp_path, monkeypatch):
    """A distribution's own, with two middlewares to choose from, one of them installed."""
    needs = {
        "rclpy": "<depend>rmw_implementation</depend><test_depend>rcl_test</test_depend>",
        "rmw_implementation": "<build_depend>rmw_x</build_depend><build_depend>rmw_y</build_depend>",
        "rmw_x": "<exec_depend>rmw_implementation</exec_depend>",
        "rcl_test": "",
    }
    for name, wanted in needs.items():
        (tmp_path / "share" / name).mkdir(parents=True)
        licences = "<license>Apache License 2.0</license><license>MIT</license>"
        text = f"<package><version>1.0</version>{licences}{wanted}</package>"
        (tmp_path / "share" / name / "package.xml").write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setattr("metric_depth_ros.cli.materials._python_graph", dict)
    monkeypatch.setattr("metric_depth_ros.share.sys.prefix", str(tmp_path))
    bill = told()
    parts = {part["name"]: part for part in bill["components"] if part["type"] == "library"}
    assert parts.keys() == {"rclpy", "rmw_implementation", "rmw_x"}
    assert licence(parts["rmw_x"]) == "Apache-2.0 AND MIT"
    assert reached(bill, "rclpy") == {"rmw_implementation@1.0", "rmw_x@1.0"}


BSD = "Redistribution and use in source and binary forms, with or without"


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"License-Expression": ["MIT AND Zlib"]}, {"expression": "MIT AND Zlib"}),
        ({"License": ["Apache License, Version 2.0"]}, {"license": {"id": "Apache-2.0"}}),
        ({"License": ["MPL-2.0 AND MIT"]}, {"expression": "MPL-2.0 AND MIT"}),
        ({"License": ["3-Clause BSD License"]}, {"license": {"id": "BSD-3-Clause"}}),
        ({"License": [f"(c)\n{BSD}\n3. Neither the name of X"]}, {"license": {"id": "BSD-3-Clause"}}),
        (
            {"License": [f"(c)\n{BSD}\n\nPermission is hereby granted, free of charge"]},
            {"license": {"id": "BSD-2-Clause"}},
        ),
        ({"Classifier": ["License :: OSI Approved :: MIT License"]}, {"license": {"id": "MIT"}}),
        ({"Classifier": ["License :: OSI Approved :: BSD License"]}, {"license": {"name": "BSD License"}}),
        ({"License": ["BSD"], "files": f"{BSD}\nneither the name of X"}, {"license": {"id": "BSD-3-Clause"}}),
        ({"License": ["any-OSI"]}, {"license": {"id": "any-OSI"}}),
        ({"stated": ["BSD"], "files": f"{BSD}\nneither the name of X"}, {"license": {"id": "BSD-3-Clause"}}),
        ({"stated": ["BSD"]}, {"license": {"name": "BSD"}}),
        ({"stated": ["MIT", "BSD"], "files": BSD}, {"license": {"name": "MIT and BSD"}}),
        ({"stated": ["MIT", "Apache License 2.0"]}, {"expression": "MIT AND Apache-2.0"}),
        ({}, {}),
    ],
)
def test_licences_are_named_as_spdx_names_them(tmp_path, told, wanted):
    from metric_depth_ros.cli.licences import licence_of

    folder = tmp_path / "x-1.dist-info"
    folder.mkdir()
    message = Message()
    for key, values in {"Name": ["x"], **told}.items():
        for value in values if key not in ("files", "stated") else ():
            message[key] = value.replace("\n", "\n ")
    (folder / "METADATA").write_text(message.as_string())
    (folder / "LICENSE").write_text(told.get("files", ""))
    (folder / "RECORD").write_text("x-1.dist-info/LICENSE,,\n")
    assert licence_of(Distribution.at(folder), *told.get("stated", ())) == wanted
