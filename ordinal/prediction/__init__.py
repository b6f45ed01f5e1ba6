"""Use a trained model: predict, export to ONNX, serve."""
