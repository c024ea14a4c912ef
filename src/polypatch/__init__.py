"""polypatch: one fix, every language."""

from polypatch._version import __version__ as __version__
from polypatch.edited_model import EditedModel as EditedModel
from polypatch.edits import Edit as Edit
from polypatch.sequence import edit as edit
from polypatch.sequence import edit_stream as edit_stream
