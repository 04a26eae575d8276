"""Wrappers of any solver: sliding focus, interpolated residuals, sharp edges, memory, a prior."""
