"""Network architectures as torch modules, without training; and weights from checkpoint folders."""
