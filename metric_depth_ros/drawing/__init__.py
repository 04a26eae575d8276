"""Pictures of results and charts of numbers."""
