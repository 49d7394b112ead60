"""``hpcjobs top``: a live view of clusters and jobs."""
