"""Wrappers of any solver: sliding focus, interpolated residuals, a prior."""
