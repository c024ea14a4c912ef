"""Finds the place: one pass written down, the layer that can be edited, and the positions that the answer reads."""
