"""A real cluster as the beginning of a simulation. Pure: who asks the service hands over what it said."""
