"""One self-contained web page of results: no script, no link that leaves it, and pictures that are also read out."""
