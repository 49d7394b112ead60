"""What goes out by itself: reports by the clock, and alerts (docs/SENDING.md)."""
