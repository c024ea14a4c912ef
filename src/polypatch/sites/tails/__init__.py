"""The model behind the site, as editors, triggers and metrics see it: from rows and a change to what is said."""
