"""``python -m polypatch`` is ``polypatch``."""

from polypatch.cli import main

# Guarded: worker processes import this file again.
if __name__ == "__main__":
    main()
