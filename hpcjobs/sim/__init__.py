"""The simulator: the same policies, on the same ClusterView, at the size of the largest clusters."""
