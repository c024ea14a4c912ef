"""The model card of a fine-tuned checkpoint: README.md as hubs show it, and the picture of its training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import ModelCardData
from matplotlib import rc_context
from matplotlib.figure import Figure

from polypatch.evaluation.figures import GREY, STYLE, STYLES
from polypatch.rendering.harmless import code, inline, one_line
from polypatch.store.card import base_name
from polypatch.training.data import Corpus
from polypatch.training.models import NEW
from polypatch.training.plan import Training
from polypatch.training.presets import Preset
from polypatch.training.trainer import Trained

PICTURE = "training.png"


def model_card(name: str, preset: Preset, training: Training, corpus: Corpus, trained: Trained) -> str:
    """The card: front matter for hubs, what the model does and how well, the curves, the settings."""
    base = None if name == NEW else one_line(base_name(name))
    data = ModelCardData(
        language=sorted(corpus.languages),
        library_name="transformers",
        base_model=base,
        pipeline_tag="text-classification",
        tags=["polypatch", "text-classification"],
    )
    origin = code(base) if base else "A small new BERT"
    early = ", where patience ended the training" if trained.stopped_early else ""
    parts = [
        f"---\n{data.to_yaml()}\n---\n",
        f"# {inline(base or 'A small BERT')}, fine-tuned ({preset.name})\n",
        f"{origin}, fine-tuned by polypatch as a classifier into {len(corpus.labels)} classes, with the "
        f"hyper-parameters of the {preset.name.upper()} column of the MPN paper's Table 4 ([arXiv:2401.03190]"
        f"(https://arxiv.org/abs/2401.03190)) except where the table below says otherwise. The weights are those of "
        f"step {trained.best_step:,} of {trained.steps:,}{early}: the best on the validation rows.\n",
        "```python\nfrom transformers import pipeline\n\n"
        'classify = pipeline("text-classification", model="this folder or repository")\n```\n',
        "Correct it with `polypatch edit`.\n",
        "## Validation accuracy\n",
        _accuracies(corpus, trained),
        f"![Loss and validation accuracy by step]({PICTURE})\n",
        "## Classes\n",
        "".join(f"* {i}: {code(label)}\n" for i, label in enumerate(corpus.labels)),
        "## Settings\n",
        _settings(preset, training, corpus),
    ]
    return "\n".join(parts)


@rc_context(STYLE)
def training_figure(trained: Trained) -> Figure:
    """Training and validation loss, and validation accuracy per language, by step; a line marks the best step."""
    history = trained.history
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    _line(losses, history, "loss", ("training", GREY, None))
    _line(losses, history, "eval_loss", ("validation", *STYLES[0]))
    for i, lang in enumerate(trained.by_language):
        _line(scores, history, f"eval_accuracy.{lang}", (lang, *STYLES[i % len(STYLES)]), scale=100.0)
    for axes, title in ((losses, "Loss"), (scores, "Validation accuracy (%)")):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("step")
        axes.axvline(trained.best_step, color="#d0d0d0", linewidth=0.8, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
        axes.set_axisbelow(True)
    losses.legend(frameon=False, fontsize=8)
    if len(trained.by_language) > 1:
        scores.legend(frameon=False, fontsize=7, ncols=-(-len(trained.by_language) // 6))
    return figure


def _line(
    axes: Any,
    history: Sequence[Mapping[str, float]],
    name: str,
    style: tuple[str, str, str | None],
    *,
    scale: float = 1.0,
) -> None:
    points = [(row["step"], scale * row[name]) for row in history if name in row]
    label, color, marker = style
    axes.plot(*zip(*points, strict=True), color=color, marker=marker, markersize=3, linewidth=1.2, label=label)


def _accuracies(corpus: Corpus, trained: Trained) -> str:
    lines = ["| language | trained on | rows | accuracy |", "| --- | --- | --- | --- |"]
    for lang, accuracy in trained.by_language.items():
        rows = sum(row.lang == lang for row in corpus.validation)
        lines.append(
            f"| {inline(lang)} | {'yes' if lang in corpus.languages else 'no'} | {rows:,} | {100 * accuracy:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _settings(preset: Preset, training: Training, corpus: Corpus) -> str:
    settings, published = training.settings, preset.settings
    lines = ["| setting | value | Table 4 |", "| --- | --- | --- |"]
    lines.append(f"| training rows | {len(corpus.train):,} | {preset.train_rows:,} |")
    lines.append(f"| validation rows | {len(corpus.validation):,} | {preset.validation_rows:,} |")
    for name in ("epochs", "batch_size", "learning_rate", "max_length", "weight_decay", "warmup_steps", "eps"):
        lines.append(f"| {name} | {getattr(settings, name):g} | {getattr(published, name):g} |")
    own = {
        "eps_means": settings.eps_means,
        "clip_norm": f"{settings.clip_norm:g}",
        "max_steps": training.max_steps,
        "evaluated every": training.evaluate_every or "epoch",
        "patience": training.patience or None,
        "precision": training.precision,
        "accumulate": training.accumulate,
        "seed": training.seed,
    }
    lines += [f"| {name} | {value} | – |" for name, value in own.items() if value is not None]
    return "\n".join(lines) + "\n"
