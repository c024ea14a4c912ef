"""Readers: a foreign row becomes an Edit; one format per file."""
