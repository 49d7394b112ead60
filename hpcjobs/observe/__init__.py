"""One observer per cluster: listing, diff, rows. The only writer of job state."""
