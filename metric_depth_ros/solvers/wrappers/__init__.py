"""Wrappers of any solver: sliding focus, interpolated residuals, memory, a prior."""
