"""A fit per image region (paper 000)."""
