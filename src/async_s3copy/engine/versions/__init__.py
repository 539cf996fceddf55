"""Versions: each object as it was when it was listed, or all there are, in their order."""
