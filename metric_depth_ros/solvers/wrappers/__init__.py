"""Wrappers of any solver: sliding focus, interpolated residuals; and the network's own depth."""
