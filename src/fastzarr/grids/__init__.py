"""Chunk grids: which chunk holds an element, and under which key."""
