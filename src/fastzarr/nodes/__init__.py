"""Arrays and groups: handles over stores and metadata documents."""
