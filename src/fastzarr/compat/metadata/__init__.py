"""``zarr.metadata``: the conversion of metadata from format 2 to format 3."""
