"""Tables and other people's text, made fit for terminals, Markdown, HTML and JSON."""
