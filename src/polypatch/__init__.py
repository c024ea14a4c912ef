"""polypatch: one fix, every language."""
