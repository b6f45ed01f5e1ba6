"""Compare runs and run studies through DVC's queue."""
