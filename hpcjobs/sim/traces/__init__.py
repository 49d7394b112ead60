"""Where workloads come from: one reader for each form, pure but for sim/traces/lines.py, which opens files."""
