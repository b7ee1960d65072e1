"""A store in an environment of LMDB."""
