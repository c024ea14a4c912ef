"""Tiny random sentence encoders, written as sentence-transformers writes them."""

import json

import torch
from safetensors.torch import save_file
from tokenizers import decoders

from polypatch.testing import tiny_model

WIDTH = 16


def written(path, content):
    """A JSON file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def sentence_encoder(folder, *, seed=5, family="bert", within="", dense=None, behind=(), **files):
    """A checkpoint folder.

    Args:
        folder: where.
        seed: of its weights.
        family: of its network.
        within: the folder of its network in it.
        dense: the settings of a linear map behind the pooling; None for none.
        behind: further steps.
        files: settings for ``pooling``, ``sentence_bert_config``, ``config_sentence_transformers``; without any the
            folder has the network alone.
    """
    model, tokenizer = tiny_model(family, hidden=WIDTH, layers=1, seed=seed)
    for one in (model.base_model, tokenizer):
        one.save_pretrained(folder / within)
    steps = [("Transformer", within), ("Pooling", "1_Pooling")]
    if dense is not None:
        written(folder / "2_Dense" / "config.json", dense)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            weights = {"linear.weight": torch.randn(dense["out_features"], WIDTH)}
            weights |= {"linear.bias": torch.randn(dense["out_features"])} if dense.get("bias", True) else {}
        save_file(weights, folder / "2_Dense" / "model.safetensors")
        steps.append(("Dense", "2_Dense"))
    if files or within or dense or behind:
        kinds = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in (*steps, *behind)]
        written(folder / "modules.json", kinds)
    for name, content in files.items():
        place = {"pooling": "1_Pooling/config.json", "sentence_bert_config": f"{within}/sentence_bert_config.json"}
        written(folder / place.get(name, f"{name}.json").lstrip("/"), content)
    return folder


def readable_model(family="bert", **sizes):
    """A classifier with a tokenizer that writes tokens out as whole words again, as real ones do."""
    model, tokenizer = tiny_model(family, **sizes)
    tokenizer.backend_tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return model, tokenizer
