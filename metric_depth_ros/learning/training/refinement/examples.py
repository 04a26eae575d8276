"""What the network of ``refined`` is trained on: fits of a solver to simulated anchors, written once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import SETTINGS, EngineConfig, SolverConfig
from metric_depth_ros.datasets import Dataset
from metric_depth_ros.engines import BUNDLED, BUNDLED_WITH_BASIS, build_depth_engine
from metric_depth_ros.errors import AnchorError, ConfigError, InputError
from metric_depth_ros.learning.training.augment import relit
from metric_depth_ros.learning.training.basis.cache import FARTHEST_M, NEAREST_M
from metric_depth_ros.learning.training.chosen import ChosenPictures, load_about, open_maps, save_about
from metric_depth_ros.learning.training.refinement.disturb import disturbed, made_of_truth
from metric_depth_ros.learning.training.refinement.draw import draw_anchors
from metric_depth_ros.learning.training.sparse import reduced_depth
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers import solver_class
from metric_depth_ros.solvers.refined.inputs import SIDES, Look, cells_fit, look_at
from metric_depth_ros.types import FloatArray, ImageArray, IntArray, RelativeDepth, SolverInput

FILE = "examples.npz"
_MAPS = ("image", "maps", "error")
# Networks whose maps are shown, and how often: the package's own, one after the other, and made ones.
_NETWORKS = (BUNDLED_WITH_BASIS["gaussian_process"], BUNDLED["tiny"])
_SHARES = (0.45, 0.2, 0.35)
# Part of the networks' maps that gets more errors.
_DISTURBED = 0.5
# Fewer known pixels than this teach nothing.
_LEAST_KNOWN = 0.05


@dataclass(frozen=True)
class About:
    """What the examples are of.

    Attributes:
        data, frames: folders of the datasets, absolute, and the numbers of their frames.
        solver: name of the solver whose fits they are.
        width, height: of the maps.
        digest: sha256 of places and anchors.
    """

    data: tuple[str, ...]
    frames: tuple[int, ...]
    solver: str
    width: int
    height: int
    digest: str


class RefinementExamples:
    """Fits of a solver with their true errors, apart for training and validation.

    Attributes:
        about: what they are of.
        training, validation: indices of the examples.
    """

    def __init__(self, folder: str | Path, *, families: Sequence[str] = ()) -> None:
        """``families``: kinds of scenes. Raises InputError if they are missing, or nothing is left."""
        path = Path(folder) / FILE
        arrays, self.about = load_about(path, About, "train refinement")
        self._maps = open_maps(path.parent, _MAPS)
        self._anchors: FloatArray = arrays["anchors"]
        self._ends: IntArray = arrays["ends"]
        pictures = ChosenPictures([], arrays["place"], arrays["group"], arrays["family"])
        kept = pictures.of_families(families) & arrays["whole"]
        self.training, self.validation = pictures.split(kept, path, families)

    def __getitem__(self, index: int) -> tuple[Look, FloatArray]:
        """What the network is shown, and log true over fitted depth (h, w), NaN unknown."""
        image, maps, error = (np.asarray(part[index]) for part in self._maps)
        begin = 0 if index == 0 else int(self._ends[index - 1])
        anchors = self._anchors[begin : self._ends[index]].astype(np.float32)
        look = Look(image, maps.astype(np.float32), anchors[:, :2], anchors[:, 2], anchors[:, 3])
        return look, error.astype(np.float32)


def write_examples(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    count: int,
    size: tuple[int, int],
    solver: str = "gaussian_process",
    draws: int = 1,
    seed: int = 0,
) -> Iterator[int]:
    """Fits a solver to simulated anchors on up to ``count`` random pictures; yields the number done.

    The files are complete at the end.

    Args:
        size: width and height of the maps.
        draws: of relative map and anchors for each picture.

    Raises:
        ConfigError: fewer than 2 pictures, no draw, a size or a solver that the network cannot have.
        InputError: no data, or the folder cannot be written.
        ModelError: a network cannot be used.
    """
    _check(size, solver, draws)
    pictures = ChosenPictures.choose(folders, count, seed)
    pictures.check_split()
    each = np.repeat(np.arange(len(pictures)), draws)
    pictures = ChosenPictures(pictures.sets, *(values[each] for values in pictures.arrays.values()))
    maker = _Maker(size, solver)
    arrays = _created(Path(out), len(pictures), size)
    anchors, whole = list[FloatArray](), np.zeros(len(pictures), bool)
    for number in range(len(pictures)):
        made = maker.example(*pictures.of(number), np.random.default_rng([seed, number]))
        anchors.append(np.zeros((0, 4), np.float16))
        if made is not None:
            look, error = made
            whole[number], arrays["image"][number] = True, look.image
            arrays["maps"][number], arrays["error"][number] = look.maps, error
            rows = np.column_stack([look.uv, look.residual, look.sigma])
            anchors[-1] = np.clip(rows, -6e4, 6e4).astype(np.float16)
        yield (number + 1) // draws
    for array in arrays.values():
        array.flush()
    rows = np.concatenate(anchors)
    digest = hashlib.sha256(pictures.place.tobytes() + rows.tobytes()).hexdigest()
    ends = np.cumsum([len(part) for part in anchors])
    about = About(**pictures.about, solver=solver, width=size[0], height=size[1], digest=digest)
    told = {**pictures.arrays, "anchors": rows, "ends": ends, "whole": whole}
    save_about(Path(out) / FILE, told, about)


def _check(size: tuple[int, int], solver: str, draws: int) -> None:
    """Raises ConfigError for examples that cannot be made, or trained on."""
    if draws < 1:
        raise ConfigError(f"draws: {draws}; needed at least 1.")
    if not cells_fit(*size):
        raise ConfigError(f"size: {size[0]}x{size[1]}; needed {SIDES}, as 192x144.")
    usable = [name for name in SETTINGS["solver.refined.of"].choices if not solver_class(name).wants_regions]
    if solver not in usable:  # examples have no regions
        raise ConfigError(f"solver: {solver!r}; needed one of {', '.join(usable)}.")


class _Maker:
    """Makes examples: relit pictures, networks' or made maps, simulated anchors, the solver's fit."""

    def __init__(self, size: tuple[int, int], solver: str) -> None:
        self._size = size
        self._engines = [
            build_depth_engine(EngineConfig(manifest=str(share_path(name)), runtime="onnxruntime", threads=1))
            for name in _NETWORKS
        ]
        self._solver = solver_class(solver)(SolverConfig(name=solver))
        self._partner: ImageArray | None = None

    def example(self, data: Dataset, number: int, rng: np.random.Generator) -> tuple[Look, FloatArray] | None:
        """What the network is shown, and log true over fitted depth (h, w); None if too little is known."""
        image, depth, _ = data.picture(number)
        image = relit(image, image, rng)
        known = (depth >= NEAREST_M) & (depth <= FARTHEST_M)
        if known.mean() < _LEAST_KNOWN:
            return None
        anchors = draw_anchors(np.where(known, depth, np.float32(np.nan)), image, rng)
        given = SolverInput(self._relative(image, depth, rng), anchors, image=image)
        try:
            fitted = self._solver.solve(given)
        except AnchorError:
            return None
        truth = reduced_depth(np.where(known, depth, np.float32(np.nan)), self._size)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.log(truth / cv2.resize(fitted.depth, self._size))
        return look_at(given, fitted, self._size), np.where(np.isfinite(error), error, np.nan)

    def _relative(self, image: ImageArray, depth: FloatArray, rng: np.random.Generator) -> RelativeDepth:
        which = int(rng.choice(len(_SHARES), p=_SHARES))
        if which == len(self._engines):
            return made_of_truth(depth, rng)
        found = self._engines[which].predict(image)
        return disturbed(found, rng) if rng.random() < _DISTURBED else found


def _created(folder: Path, count: int, size: tuple[int, int]) -> dict[str, Any]:
    """Empty arrays on disk by name. Raises InputError."""
    width, height = size
    shapes = {
        "image": ((count, height, width, 3), np.uint8),
        "maps": ((count, 3, height, width), np.float16),
        "error": ((count, height, width), np.float16),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)
            for name, (shape, kind) in shapes.items()
        }
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; needed a folder to write to.") from error
