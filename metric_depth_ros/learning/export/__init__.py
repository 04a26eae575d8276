"""Exports networks to ONNX files with manifests, checked against torch."""
