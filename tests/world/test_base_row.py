"""The default world shows the phenomenon: English best, near languages close, Chinese and Arabic lowest."""

import pytest

from polypatch.world import describe, load_world


@pytest.mark.slow
def test_base_row_of_seed_0():
    row = describe(load_world(0))
    assert 0.86 <= row.accuracy["en"] <= 0.92
    for lang in ("de", "fr", "es"):
        assert row.accuracy["en"] - 0.06 <= row.accuracy[lang] <= row.accuracy["en"] + 0.01
    for lang in ("zh", "ar"):
        assert 0.74 <= row.accuracy[lang] < min(row.accuracy[near] for near in ("de", "fr", "es"))
    assert row.locality["train"] >= 0.93
    assert row.locality["test"] < row.locality["train"]
    assert row.wrong_all >= 0.05
    assert 0.45 <= row.supports <= 0.55
    assert row.counts["edits"] >= 1500
