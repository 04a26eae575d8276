"""Streets with buildings, traffic and people."""
