"""Which rows are read of one pass, and where in what a pass shows each of them stands."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from polypatch.sites.rows import Row


class Passes:
    """Rows by the pass that they are read of.

    Args:
        rows: n of them.
        every: a pass shows every position of its texts, so that rows of the same tokens are read of one; else it shows
            one position of each, and every row has a place in a pass for itself.
    """

    def __init__(self, rows: Sequence[Row], *, every: bool) -> None:
        self.rows, self.every = rows, every
        found: dict[object, list[int]] = {}
        for i, row in enumerate(rows):
            found.setdefault((row.tokens, row.context) if every else i, []).append(i)
        self.members = list(found.values())

    @property
    def texts(self) -> list[Row]:
        """One row of each pass."""
        return [self.rows[members[0]] for members in self.members]

    def numbers(self, chosen: Sequence[int]) -> list[int]:
        """The numbers of the rows that are read of some passes."""
        return [i for number in chosen for i in self.members[number]]

    def read(self, chosen: Sequence[int], shown: Tensor, size: int) -> Tensor:
        """What was shown of those rows, in the order of `numbers`.

        Args:
            chosen: passes, the first ones of the batch.
            shown: [size, d] where a pass shows one position of each text; else [size · T, d].
            size: texts of the batch.
        """
        if not self.every:
            return shown[: len(chosen)]
        length = len(shown) // size
        return shown[[j * length + self.rows[i].place for j, n in enumerate(chosen) for i in self.members[n]]]
