"""The tokens that key-value caches were filled with: a model that writes is shown the new ones only."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import Tensor

from polypatch.errors import InputError


class CachedTokens:
    """Cache -> tokens [n, T], for as long as the cache is there. A copy knows none."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Any, Tensor] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type[CachedTokens], tuple[()]]:
        return CachedTokens, ()

    def before(self, cache: Any) -> Tensor | None:
        """The tokens that a cache holds [n, T]; None where it holds none.

        Raises:
            InputError: it was filled while nobody looked.
        """
        length = int(cache.get_seq_length()) if hasattr(cache, "get_seq_length") else 0
        if not length:
            return None
        tokens = self._of.get(cache)
        if tokens is None or tokens.shape[1] < length:
            raise InputError(
                f"these edits go by the text, and a cache was given that holds {length} tokens which they never saw: "
                "begin with the whole text and an empty cache"
            )
        return tokens[:, :length]  # it may have been cut since

    def filled(self, cache: Any, tokens: Tensor) -> None:
        """Remember what a cache was filled with, and follow it where beams put its texts in another order."""
        if hasattr(cache, "reorder_cache"):
            if cache not in self._of:
                cache.reorder_cache = _Followed(self._of, cache)
            self._of[cache] = tokens


class _Followed:
    """A cache's own reordering, and that of its tokens."""

    def __init__(self, of: WeakKeyDictionary[Any, Tensor], cache: Any) -> None:
        self.of, self.cache, self.own = of, ref(cache), type(cache).reorder_cache

    def __call__(self, beams: Tensor) -> None:
        cache = self.cache()
        tokens = self.of[cache]
        self.of[cache] = tokens.index_select(0, beams.to(tokens.device))
        self.own(cache, beams)
