"""Our own plugins, importable as ``hpcjobs_plugins.<name>``: each uses only what a plugin of anybody may use."""
