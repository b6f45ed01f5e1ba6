"""Tables of reviews: reading, checking and splitting them."""
