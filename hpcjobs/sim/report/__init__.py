"""What is told of simulations: figures of several cases and seeds, tables, plots. Pure but for plots.py."""
