"""What a shell completes: quick, and silent whatever goes wrong."""
