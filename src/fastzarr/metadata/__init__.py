"""Metadata documents, parsed and written. Nothing here reads or writes a store."""

from __future__ import annotations

from fastzarr.metadata.layout import GroupLayout, Layout

__all__ = ["GroupLayout", "Layout"]
