"""Benchmarks on the dockerized cluster: ``make bench NAME=submit|list|poll|memory|scale``.

Each compares two sides in one run, load from loopback, and prints ``NAME ratio=... bar=... holds|short``.
"""
