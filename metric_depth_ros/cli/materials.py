"""What is shipped and installed, as a CycloneDX bill of materials (cyclonedx.org/docs/1.5/json)."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any
from xml.etree import ElementTree

from metric_depth_ros import __version__
from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.model import verify_file
from metric_depth_ros.share import ros_package_file, share_path

_PACKAGE = "metric_depth_ros"
# Longer ones are the licence's text.
_LONGEST_NAME = 80
Component = dict[str, Any]


def bill_of_materials() -> dict[str, Any]:
    """The bill, the same for the same installation.

    Raises:
        ModelError: a model file is not the one of its manifest.
    """
    own = _component("application", _PACKAGE, __version__, {"expression": "Apache-2.0"})
    parts = [*python_packages(), *ros_packages(), *models()]
    parts.sort(key=lambda part: str(part["bom-ref"]))
    refs = [part["bom-ref"] for part in parts]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, repr(parts))}",
        "version": 1,
        "metadata": {"component": own},
        "components": parts,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": refs}],
    }


def python_packages() -> Iterator[Component]:
    """Yields what the package requires and what that requires, as far as it is installed."""
    for found in _required(_PACKAGE, set()):
        if (name := _usual(found.metadata["Name"])) != _usual(_PACKAGE):
            part = _component("library", name, found.version, _licence(found))
            yield {**part, "purl": f"pkg:pypi/{name}@{found.version}"}


def _required(name: str, seen: set[str]) -> Iterator[Distribution]:
    """Yields a distribution and, once each, those that it requires without an extra."""
    seen.add(_usual(name))
    try:
        found = distribution(name)
    except PackageNotFoundError:  # for another system
        return
    yield found
    for requirement in found.requires or ():
        wanted, _, marker = requirement.partition(";")
        match = re.match(r"[\w.-]+", wanted)
        if match and "extra" not in marker and _usual(match[0]) not in seen:
            yield from _required(match[0], seen)


def _usual(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(found: Distribution) -> dict[str, Any]:
    """Licence of a distribution; empty if it tells none."""
    told: Any = found.metadata  # typeshed knows ``get`` of new versions only
    if expression := told.get("License-Expression"):
        return {"expression": expression}
    given = (told.get("License") or "").strip()
    if given and "\n" not in given and len(given) <= _LONGEST_NAME:
        return _named(given)
    kinds = [kind.split(" :: ")[-1] for kind in told.get_all("Classifier") or () if "License ::" in kind]
    return _named(kinds[-1] if kinds else "")


def _named(licence: str) -> dict[str, Any]:
    return {"license": {"name": licence}} if licence else {}


def ros_packages() -> Iterator[Component]:
    """Yields the ROS packages that package.xml names, as far as they are installed."""
    for item in ElementTree.parse(share_path("package.xml")).iter("exec_depend"):
        path = ros_package_file(item.text or "")
        if path is not None:
            told = ElementTree.parse(path)
            version, licence = (told.findtext(key, "").strip() for key in ("version", "license"))
            yield _component("library", item.text or "", version, _named(licence))


def models() -> Iterator[Component]:
    """Yields every model file of the package. Raises ModelError for one that is not its manifest's."""
    folder, listed = share_path("config/models"), set()
    paths = sorted(folder.glob("*.yaml"))
    manifests = {path.stem: read_yaml(path, ModelError, "a manifest") for path in paths}
    for told in manifests.values():
        for name, sha256 in _files(told):
            if (folder / name).exists():
                verify_file(folder / name, sha256)
                listed.add(name)
                yield _model(name, sha256, told)
    for path in sorted(folder.iterdir()):  # weights to begin training from, named after their network
        if path.suffix != ".yaml" and path.name not in listed:
            yield _model(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), manifests[path.stem])


def _files(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields name and sha256 of every file in a manifest."""
    if {"file", "sha256"} <= told.keys():
        yield told["file"], told["sha256"]
        yield from told.get("data", {}).items()
    for part in told.values():
        if isinstance(part, dict):
            yield from _files(part)


def _model(name: str, sha256: str, manifest: dict[str, Any]) -> Component:
    part = _component("machine-learning-model", name, __version__, _named(manifest["licence"]))
    source = f"{manifest['name']}: {manifest.get('source', '')}"
    return {**part, "description": source, "hashes": [{"alg": "SHA-256", "content": sha256}]}


def _component(kind: str, name: str, version: str, licence: dict[str, Any]) -> Component:
    part = {"type": kind, "bom-ref": f"{name}@{version}", "name": name, "version": version}
    return {**part, "licenses": [licence]} if licence else part
