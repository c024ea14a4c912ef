"""An edited model in memory: making edits, taking them back, fewer of them, why it answers as it does."""
