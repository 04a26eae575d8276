"""Spectral statistics of basis maps (paper 001, sections 3.3 and 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray


@dataclass(frozen=True)
class Spectrum:
    """Spectral statistics of one image and its anchors.

    Attributes:
        eta1: the largest eigenvalue of the Gram matrix C = M M^T over their sum (equation 29).
        similarity: |v_1,0|, the global map's share of the leading eigenvector of M^T M (equation 33).
        gate: mean over the image of G_0, which equals E_0 since B_0 = 1.
        gate_square: mean of its square; over a data set Var(G_0) = mean of these - (mean of the gates)^2.
    """

    eta1: float
    similarity: float
    gate: float
    gate_square: float


def spectrum(maps: FloatArray, rows: FloatArray) -> Spectrum:
    """Statistics of learned maps (K, h, w) and their rows M (N, K) at the anchors.

    C and M^T M share their non-zero eigenvalues, so the smaller K x K one serves for both.
    """
    values, vectors = np.linalg.eigh(rows.T @ rows)
    total = float(values.sum())
    gate = maps[0].astype(np.float64)
    return Spectrum(
        eta1=float(values[-1]) / total if total > 0 else float("nan"),
        similarity=float(abs(vectors[0, -1])),
        gate=float(gate.mean()),
        gate_square=float((gate**2).mean()),
    )


@dataclass(frozen=True)
class SpectrumSummary:
    """Statistics of a data set: medians of eta1 and similarity, E[G_0] and Var(G_0) over all pixels."""

    pictures: int
    eta1: float
    similarity: float
    gate_mean: float
    gate_variance: float


def summarised(found: list[Spectrum]) -> SpectrumSummary:
    """Summary of at least one spectrum."""
    mean = float(np.mean([s.gate for s in found]))
    return SpectrumSummary(
        len(found),
        float(np.median([s.eta1 for s in found])),
        float(np.median([s.similarity for s in found])),
        mean,
        float(np.mean([s.gate_square for s in found])) - mean**2,
    )
