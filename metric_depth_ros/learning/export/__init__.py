"""Networks to ONNX files with their manifests, checked against torch."""
