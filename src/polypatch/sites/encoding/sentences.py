"""From the tokens that a model is shown to the vectors of the texts they stand for."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from polypatch.arguments import shortened
from polypatch.errors import InputError
from polypatch.sites.encoding.sentence_encoder import SentenceEncoder, load_sentence_encoder
from polypatch.sites.reads import Reads, encoder_in, reads_text
from polypatch.sites.sentence import Sentences


class WrittenOut(Sentences):
    """Writes tokens out as a text again, and hands that to a sentence encoder.

    What the tokenizer cannot give back the encoder does not read: unknown words, capitals that it lowers. Of a pair it
    reads both, one after the other.

    Args:
        encoder: the sentence encoder; None where the tokens alone are read.
        tokenizer: the edited model's own.
    """

    def __init__(self, encoder: SentenceEncoder | None, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.encoder, self.tokenizer, self.width = encoder, tokenizer, 0 if encoder is None else encoder.width

    def __reduce__(self) -> tuple[type[WrittenOut], tuple[SentenceEncoder | None, PreTrainedTokenizerBase]]:
        return WrittenOut, (self.encoder, self.tokenizer)  # in another process it has another number

    @property
    def fingerprint(self) -> str:
        """The sentence encoder's; the edited model's tokenizer is part of the model's own."""
        return "" if self.encoder is None else self.encoder.fingerprint

    def texts(self, ids: Tensor, mask: Tensor) -> list[str]:
        """The texts that tokens stand for: [n, T] -> n."""
        own = [row[kept].tolist() for row, kept in zip(ids.cpu(), mask.cpu().bool(), strict=True)]
        return [str(text) for text in self.tokenizer.batch_decode(own, skip_special_tokens=True)]

    def of(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The vectors [n, width] of their texts."""
        assert self.encoder is not None
        return self.encoder.vectors(self.texts(ids, mask), ids.device)


def sentences_of(reads: Reads, tokenizer: PreTrainedTokenizerBase) -> WrittenOut | None:
    """The sentence encoder that `reads` names, loaded, behind the edited model's tokenizer.

    None where no text is read; without an encoder where the tokens alone are.

    Raises:
        InputError: there is no tokenizer.
        DataError: the encoder's folder is absent or cannot be read, or the hub has no such model.
        UnsupportedModelError: it is no sentence encoder that is known here.
    """
    name = encoder_in(reads)
    if not name and not reads_text(reads):
        return None
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise InputError(
            f"reads={reads!r} reads texts, which tokens are written out to: give the model's tokenizer, and not "
            f"{shortened(tokenizer)}"
        )
    return WrittenOut(load_sentence_encoder(name) if name else None, tokenizer)
