"""A log-scale field that is a sum of basis maps (paper 001)."""
