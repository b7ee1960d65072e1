"""The local store: files in a folder."""
