"""Placement for training: nodes and rank order for parallel degrees, on what is known of the fabric."""
