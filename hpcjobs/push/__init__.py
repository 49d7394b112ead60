"""What the service says of its own accord: events to those who listen, and to those who gave an address."""
