"""Plugins at work: loaded in a process of their own, asked in order, exchanged while the service runs."""
