"""A store in a database of SQLite."""
