"""Decide and move: knows nothing of HTTP, botocore or any door."""
