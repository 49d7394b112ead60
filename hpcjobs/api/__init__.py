"""REST: parse, call, show. Nothing is decided here."""
