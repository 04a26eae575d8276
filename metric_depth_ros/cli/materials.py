"""What is shipped and installed, as a CycloneDX bill of materials (cyclonedx.org/docs/1.5/json)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Container, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from metric_depth_ros import __version__
from metric_depth_ros.cli.licences import licence_of, licensed
from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.model import verify_file
from metric_depth_ros.share import ros_package_file, share_path

_PACKAGE = "metric_depth_ros"
_OWN = "metric-depth-ros"
_MAKING = ("test", "lint", "train", "export")  # extras of those who make the package and its networks
Component = dict[str, Any]


def bill_of_materials() -> dict[str, Any]:
    """The bill, the same for the same installation.

    Raises:
        ModelError: a model file is not the one of its manifest.
    """
    own = _component("application", _PACKAGE, __version__, licensed("Apache-2.0"))
    python = _python_graph()
    direct = python.pop(_OWN, set())
    ros, shipped = _ros_graph(python), {part["name"]: part for part in models()}
    by_name = {
        **{name: _wheel(name) for name in python},
        **{name: _ros_package(name) for name in ros},
        **shipped,
    }
    graph = {**python, **{name: {*needs, _wheel_of(name)} for name, needs in ros.items()}}
    graph[_PACKAGE] = {*direct, *_needed(share_path("package.xml")), *shipped}
    parts = sorted(by_name.values(), key=_ref)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, repr(parts))}",
        "version": 1,
        "metadata": {"component": own},
        "components": parts,
        "dependencies": [
            {
                "ref": _ref(part),
                "dependsOn": sorted(_ref(by_name[each]) for each in graph.get(name, ()) if each in by_name),
            }
            for name, part in ((_PACKAGE, own), *by_name.items())
        ],
    }


def _python_graph() -> dict[str, set[str]]:
    """Installed distributions that the package, with its extras, requires at last: what each requires."""
    wanted: dict[str, set[str]] = {}
    seen = set[tuple[str, str]]()
    waiting = [(_OWN, extra) for extra in ("", *_own_extras())]
    while waiting:
        name, extra = at = waiting.pop()
        if at in seen or (found := _installed(name)) is None:
            continue
        seen.add(at)
        needed = [*_required(found, extra)]
        wanted.setdefault(name, set()).update(canonicalize_name(each.name) for each in needed)
        waiting += [(canonicalize_name(each.name), also) for each in needed for also in ("", *each.extras)]
    return {name: needs & wanted.keys() for name, needs in wanted.items()}


def _own_extras() -> list[str]:
    """Extras of the package that a robot may run with."""
    found = _installed(_OWN)
    return [
        each
        for each in (found.metadata.get_all("Provides-Extra") or () if found else ())
        if each not in _MAKING
    ]


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:  # for another system, or an extra that is not there
        return None


def _required(found: Distribution, extra: str) -> Iterator[Requirement]:
    """Yields what a distribution requires on this system, with an extra."""
    for text in found.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # of a time when all was allowed
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _wheel(name: str) -> Component:
    """A Python distribution; one of a ROS package has its licence from there."""
    found = distribution(name)
    told = list[str]()
    if name.startswith("ros-") and (path := ros_package_file(name.removeprefix("ros-").replace("-", "_"))):
        told = _licences(ElementTree.parse(path))
    licence = licence_of(found, *told)
    return {**_component("library", name, found.version, licence), "purl": f"pkg:pypi/{name}@{found.version}"}


def _wheel_of(package: str) -> str:
    """Name of the wheel that brings a ROS package."""
    return canonicalize_name(f"ros-{package}")


def _ros_graph(wheels: Container[str]) -> dict[str, set[str]]:
    """Installed ROS packages that package.xml names, and what they need; not of those that a wheel brings."""
    needs: dict[str, set[str]] = {}
    waiting = [*_needed(share_path("package.xml"))]
    while waiting:
        name = waiting.pop()
        path = ros_package_file(name)
        if name not in needs and path is not None:
            needs[name] = set() if _wheel_of(name) in wheels else set(_needed(path))
            waiting += needs[name]
    return {name: wanted & needs.keys() for name, wanted in needs.items()}


def _needed(path: Path) -> Iterator[str]:
    """Yields what a package.xml needs to run, and each middleware (``rmw_``), of which it needs one."""
    for item in ElementTree.parse(path).getroot():
        if item.tag in ("depend", "exec_depend") or (item.text or "").startswith("rmw_"):
            yield (item.text or "").strip()


def _ros_package(name: str) -> Component:
    told = ElementTree.parse(ros_package_file(name) or "")
    return _component("library", name, told.findtext("version", "").strip(), licensed(*_licences(told)))


def _licences(told: Any) -> list[str]:
    return [(each.text or "").strip() for each in told.iter("license")]


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
    part = _component("machine-learning-model", name, __version__, licensed(manifest["licence"]))
    source = f"{manifest['name']}: {manifest.get('source', '')}"
    return {**part, "description": source, "hashes": [{"alg": "SHA-256", "content": sha256}]}


def _component(kind: str, name: str, version: str, licence: dict[str, Any]) -> Component:
    part = {"type": kind, "bom-ref": f"{name}@{version}", "name": name, "version": version}
    return {**part, "licenses": [licence]} if licence else part


def _ref(part: Component) -> str:
    return str(part["bom-ref"])
