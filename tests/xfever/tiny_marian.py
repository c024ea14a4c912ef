"""Tiny Marian checkpoints with random weights and SentencePiece vocabularies trained here, and FEVER files."""

import io
import json

import sentencepiece
import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer

PLACES = ("Lund", "Rudbek", "Aarhus", "Ystad", "Turku")
THINGS = ("bridge", "castle", "harbour", "school")
PHRASES = {
    "en": "The {thing} of {place} was built in {year}.",
    "de": "Das Gebäude {thing} in {place} wurde im Jahr {year} gebaut.",
    "fr": "Le bâtiment {thing} de {place} a été construit en {year}.",
    "es": "El edificio {thing} de {place} fue construido en {year}.",
    "zh": "{place}的{thing}建于{year}年。",
    "ar": "بُني {thing} في {place} عام {year}.",
}
TOKENS = {"zh": ">>cmn_Hans<<", "ar": ">>ara<<"}


def sentences(lang, years=(1880, 1901, 1976)):
    """Sixty sentences."""
    return [PHRASES[lang].format(thing=t, place=p, year=y) for t in THINGS for p in PLACES for y in years]


def pieces(texts):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=70,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    known = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return model.getvalue(), [known.id_to_piece(i) for i in range(known.get_piece_size())]


def tiny_marian(folder, lang, seed=0):
    """A checkpoint out of English into `lang` that writes between four and eleven tokens of nonsense."""
    folder.mkdir(parents=True)
    vocabulary = dict.fromkeys(["</s>", "<unk>", *([TOKENS[lang]] if lang in TOKENS else [])])
    for side, texts in (("source", sentences("en")), ("target", sentences(lang))):
        model, found = pieces(texts)
        (folder / f"{side}.spm").write_bytes(model)
        vocabulary |= dict.fromkeys(piece for piece in found if piece not in ("<s>", "</s>", "<unk>"))
    ids = {piece: i for i, piece in enumerate([*vocabulary, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    names = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    MarianTokenizer(*names).save_pretrained(folder)
    pad = ids["<pad>"]
    own = {"pad_token_id": pad, "eos_token_id": 0, "decoder_start_token_id": pad, "forced_eos_token_id": 0}
    layers = {"d_model": 16, "max_position_embeddings": 64, "init_std": 1.0}
    for part in ("encoder", "decoder"):
        layers |= {f"{part}_layers": 1, f"{part}_attention_heads": 2, f"{part}_ffn_dim": 16}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MarianMTModel(MarianConfig(vocab_size=len(ids), **layers, **own))
    banned = [[ids[name]] for name in ("<pad>", "<unk>", "▁", *([TOKENS[lang]] if lang in TOKENS else []))]
    model.generation_config = GenerationConfig(num_beams=2, min_length=4, max_length=12, bad_words_ids=banned, **own)
    model.save_pretrained(folder)


def fever_rows(number, first=0, field="rephrases"):
    """Distinct claims in KnowledgeEditor's layout."""
    rows = []
    for i in range(first, first + number):
        thing, place = THINGS[i % 4], PLACES[i % 5]
        rows.append(
            {
                "id": i,
                "input": PHRASES["en"].format(thing=thing, place=place, year=1000 + i),
                "output": [{"answer": ("SUPPORTS", "REFUTES")[i % 3 == 0], "provenance": [{"title": place}]}],
                "meta": {},
                field: [f"In {1000 + i} {place} got its {thing}.", f"{place}'s {thing} dates from {1000 + i}."],
            }
        )
    return rows


def write_rows(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path
