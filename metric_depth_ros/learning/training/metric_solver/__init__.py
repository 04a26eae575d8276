"""Training of Metric-Solver (paper 004)."""
