"""Training of TR2M (paper 003)."""
