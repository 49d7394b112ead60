"""Several jobs that start together: as one heterogeneous job where their shapes allow it, else as held members."""
