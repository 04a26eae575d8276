"""What goes around any solver: the sliding focus, and the residuals at the anchors."""
