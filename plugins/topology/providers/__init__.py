"""Readers of what tools say of a fabric: each a pure function from bytes to a Dump; ``source`` alone does I/O."""
