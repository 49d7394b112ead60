"""Jobs that survive: what ended badly is started again, or not, by a table (docs/RECOVERY.md)."""
