"""Training of a generator of basis maps (paper 001)."""
