"""Training of scale networks (paper 002)."""
