"""The bill of materials holds all that is shipped."""

import hashlib
import json
import re
from importlib.metadata import requires

import pytest
import yaml

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
    return given.get("expression") or given["license"]["name"]


def test_it_is_printed_as_cyclonedx(bill, capsys):
    assert main(["sbom"]) == 0
    assert json.loads(capsys.readouterr().out) == bill
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["name"] == "metric_depth_ros"
    refs = [part["bom-ref"] for part in bill["components"]]
    assert len(set(refs)) == len(refs)
    assert bill["dependencies"][0]["dependsOn"] == refs
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
    needed = {re.match(r"[\w-]+", each)[0] for each in requires("metric_depth_ros") if "extra" not in each}
    assert {name.lower() for name in needed} <= parts.keys()
    for name in parts:
        assert licence(parts[name]) and parts[name]["version"]


def test_ros_packages_are_in_it(bill):
    pytest.importorskip("rclpy")
    parts = {part["name"]: part for part in bill["components"]}
    for name in ("rclpy", "sensor_msgs", "diagnostic_msgs"):
        assert parts[name]["version"] and "Apache" in licence(parts[name])
