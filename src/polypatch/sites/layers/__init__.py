"""What stands behind the site's query: the rest of its layer, the layers above, and the head."""
