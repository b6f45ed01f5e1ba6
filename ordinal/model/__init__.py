"""The classifier: losses, output layers, devices and inference."""
