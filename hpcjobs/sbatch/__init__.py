"""The language of sbatch: directives, options, units. Text in, model out; no I/O."""
