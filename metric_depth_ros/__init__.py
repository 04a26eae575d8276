"""Dense metric depth for a robot with one camera and a few metric points."""

__version__ = "0.1.0"
