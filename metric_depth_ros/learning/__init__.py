"""Networks, their training and their export: the only part that needs torch."""
