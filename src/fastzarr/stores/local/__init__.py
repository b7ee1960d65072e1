"""The local file system as a store."""
