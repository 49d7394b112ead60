"""The client, written once: scripts/unasync makes hpcjobs/client/_sync of it."""
