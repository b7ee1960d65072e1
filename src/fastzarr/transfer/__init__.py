"""Copies between hierarchies and between stores."""
