"""Predict ordered labels from text with fine-tuned transformers, and say how good it is."""
