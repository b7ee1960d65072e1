"""Indices, converted to selections and plans. Nothing here does I/O."""
