"""Jobs that survive: what failed, what is done about it, what it cost, what to do better. Pure."""
