"""Anchors of a sample from all its sources, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metric_depth_ros.anchors import anchors_by_source, fuse_anchors
from metric_depth_ros.config import Config
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.health import findings
from metric_depth_ros.health.jumps import JumpWatch
from metric_depth_ros.sync import all_points
from metric_depth_ros.types import Anchors, Camera, FloatArray, ImageArray, Sample, SourcePoints


@dataclass(frozen=True, eq=False)
class Chosen:
    """Anchors of one image.

    Attributes:
        anchors: of all sources, fused.
        by_source: number of anchors by the source that they come from.
        doubts: what may be wrong with the input though it gives depth.
    """

    anchors: Anchors
    by_source: dict[str, int]
    doubts: tuple[str, ...]


class AnchorChoice:
    """Chooses the anchors of one image after the other; a source whose range jumps is left out once."""

    def __init__(
        self, config: Config, needed: int, *, remembers: bool, before: AnchorChoice | None = None
    ) -> None:
        """``before``: with other settings, whose memory of ranges is kept.

        Args:
            needed: fewer anchors are an error.
            remembers: except that the solver may work without any.
        """
        self._config, self._needed, self._remembers = config, needed, remembers
        self._jumps: JumpWatch = JumpWatch() if before is None else before._jumps

    def of(self, sample: Sample, image: ImageArray, camera: Camera) -> Chosen:
        """Anchors in the prepared image.

        Sources in other units, or whose range jumps, are left out, and doubted.

        Raises:
            InputError: the image's frame is not optical, or all sources are in other units.
            AnchorError: too few anchors are usable.
        """
        doubts = self._doubts(sample)
        given = self._sources(sample)
        wrong = self._in_millimetres(given, camera)
        if len(wrong) == len(given):
            findings.refuse(next(iter(wrong.values())))
        by_source = anchors_by_source([s for s in given if s.name not in wrong], camera, self._config)
        jumps = self._jumped(given, by_source, image, sample.stamp_ns)
        nothing = np.zeros(0, np.intp)
        by_source = {n: each.take(nothing) if n in jumps else each for n, each in by_source.items()}
        anchors, counts = fuse_anchors(by_source, camera, self._config)
        counts = {s.name: counts.get(s.name, 0) for s in given}
        known = [*wrong.values(), *jumps.values()]
        if len(anchors) < self._needed:
            if not self._remembers:
                raise AnchorError(self._too_few(given, counts, camera, known))
            anchors, counts = anchors.take(nothing), dict.fromkeys(counts, 0)
        contradictions = findings.sources_contradict(by_source, camera)
        return Chosen(anchors, counts, (*doubts, *known, *contradictions))

    def keep(self, depth: FloatArray, image: ImageArray, anchors: Anchors, stamp_ns: int) -> None:
        """Remembers the depth of an image; the ranges of the next one are compared with it."""
        self._jumps.keep(depth, image, anchors, stamp_ns)

    def _sources(self, sample: Sample) -> tuple[SourcePoints, ...]:
        """Points by source, in the frame of the prepared image."""
        given = sample.sources or (SourcePoints("anchors", sample.points_camera),)
        if self._config.input.rectification != "none" or sample.rectification is None:
            return given
        # Points are in the rectified frame, the image that is kept is the raw one.
        R = sample.rectification.R.astype(np.float32)
        return tuple(replace(source, points=source.points @ R) for source in given)

    def _too_few(
        self,
        given: Sequence[SourcePoints],
        counts: Mapping[str, int],
        camera: Camera,
        known: Sequence[str],
    ) -> str:
        """Why there are too few anchors; ``known``: what is wrong with sources."""
        points, used = all_points(given), sum(counts.values())
        each = ", ".join(f"{s.name} {counts[s.name]} of {len(s.points)}" for s in given)
        far = findings.too_far(findings.depth_in_view(points, camera), *self._depth_limit)
        outside = None if len(given) > 1 else findings.where_points_fall(points, camera)
        checks = (
            "Check that the cloud covers the image and that its transform is right, or lower "
            "anchors.min_count."
            if len(points)
            else "No sensor measured anything: its messages have no finite range or point."
        )
        why = "; ".join(known) or far or outside or checks
        return (
            f"anchors: {used} usable of {len(points)} points, need {self._needed}"
            f"{f' ({each})' if len(given) > 1 else ''}. {why}"
        )

    @property
    def _depth_limit(self) -> tuple[float, str, str]:
        """The limit, what it limits and its setting, as findings name it."""
        return self._config.anchors.max_depth_m, "points in view", "anchors.max_depth_m"

    def _jumped(
        self,
        given: Sequence[SourcePoints],
        by_source: Mapping[str, Anchors],
        image: ImageArray,
        stamp_ns: int,
    ) -> dict[str, str]:
        """That a source's range has jumped, by the name of each that is not to be believed."""
        newest = {s.name: s.newest_ns for s in given if s.newest_ns is not None}
        found = self._jumps.found(by_source, newest, image, stamp_ns)
        named = {s.name: f"source {s.name}: " if s.model else "" for s in given}
        return {name: f"{named[name]}{words}" for name, words in found.items()}

    def _in_millimetres(self, given: Sequence[SourcePoints], camera: Camera) -> dict[str, str]:
        """That a source's points are in millimetres, by the name of each that is."""
        found = {}
        for source in given:
            depth = findings.depth_in_view(source.points, camera)
            if (words := findings.in_millimetres(depth, *self._depth_limit)) is not None:
                found[source.name] = f"source {source.name}: {words}" if source.model else words
        return found

    def _doubts(self, sample: Sample) -> tuple[str, ...]:
        """What may be wrong with the input though it gives depth. Raises InputError where it is certain."""
        if self._config.input.frame == "optical":
            return ()
        by_hand = self._config.extrinsics.source == "parameters" and sample.points_up is not None
        frame_id = "" if by_hand else sample.frame_id
        doubt = findings.frame_in_doubt(sample.points_camera, sample.camera, frame_id, sample.points_up)
        return tuple(filter(None, (doubt, *map(findings.too_coarse, sample.sources))))
