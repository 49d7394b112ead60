"""Jobs in containers: what is run around a job's own script, and what brings its accelerators in. Pure."""
