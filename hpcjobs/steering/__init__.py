"""Policies at work on a real cluster: what they wish is compared with what is so, and the rest is changed."""
