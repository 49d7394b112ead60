"""The durable rows: tables, the only SQL, migrations."""
