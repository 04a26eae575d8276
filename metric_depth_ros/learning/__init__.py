"""Networks, their training and their export: the only folder that requires torch."""
