"""Model cards and the model hub."""
