"""For authors of editors: tiny models and edits, and `check_editor`, which holds a recipe to polypatch's laws.

::

    from polypatch.recipes import Recipe
    from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts

    model, tokenizer = tiny_model("bert")
    check_editor(Recipe(MyEditor(max_steps=40)), model, tokenizer, tiny_edits(4, ["en", "de"]), tiny_texts(40))

Needs no network, no test framework, and a second or two. Hyper-parameters may be small: no law asks that an edit takes,
only that the outcome says so where it does not. Nothing in polypatch imports this module.
"""

from polypatch.testing.bits import AMPLIFIED as AMPLIFIED
from polypatch.testing.bits import TOLERANCE as TOLERANCE
from polypatch.testing.check import check_editor as check_editor
from polypatch.testing.tiny import tiny_edits as tiny_edits
from polypatch.testing.tiny import tiny_model as tiny_model
from polypatch.testing.tiny import tiny_texts as tiny_texts
