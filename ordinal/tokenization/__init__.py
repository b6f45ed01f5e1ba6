"""Token ids of texts, and batches of them."""
