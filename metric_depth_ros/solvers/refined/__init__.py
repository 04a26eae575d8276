"""Any solver's depth, corrected by a small network that looks at it once more."""
