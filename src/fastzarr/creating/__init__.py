"""From the keywords of both zarr-pythons to the layout of a new array."""
