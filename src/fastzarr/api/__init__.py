"""The user's verbs: create, open, save, consolidate."""
