"""The public functions that create, open, save and consolidate."""
