"""Reports: questions to usage, and their answers as tables, files and pictures (docs/adr/0021)."""
