"""Solver whose log-scale field is a sum of basis maps (paper 001)."""
