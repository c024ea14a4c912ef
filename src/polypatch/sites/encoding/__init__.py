"""From texts to queries: tokens, passes of canonical shape, and what is kept of them."""
