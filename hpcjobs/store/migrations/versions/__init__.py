"""The changes of schema, oldest first by number."""
