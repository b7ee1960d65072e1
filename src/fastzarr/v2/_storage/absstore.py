"""Blobs of Azure as a store."""

from fastzarr.v2._storage.classes import ABSStore

__all__ = ["ABSStore"]
