"""The base classes of stores."""
