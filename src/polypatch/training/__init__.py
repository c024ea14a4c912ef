"""Base models: an encoder fine-tuned as a classifier by the paper's Table 4, so that there is something to edit.

`presets` is the table, `data` the rows, `trainer` the work, `plan` what it costs beforehand, `card` what is written
about it. Needs the extra ``polypatch[train]``.
"""
