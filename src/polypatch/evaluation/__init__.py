"""evaluation: metrics as pure functions, evaluate() -> Report, and its tables and pictures."""

from polypatch.evaluation.aggregate import Aggregate, Stat, aggregate
from polypatch.evaluation.cells import Cells, load_cells, save_cells
from polypatch.evaluation.given_tokens import plain_text_perplexity, target_accuracy
from polypatch.evaluation.matrix import Matrix, matrix, matrix_grid
from polypatch.evaluation.measure import evaluate
from polypatch.evaluation.metrics import Locality
from polypatch.evaluation.paired import Gain, gain
from polypatch.evaluation.perplexity import perplexities, perplexity
from polypatch.evaluation.report import Report, load_reports, save_reports
from polypatch.evaluation.subsets import prompts, source_errors, wrong_everywhere
from polypatch.evaluation.tables import console_table, latex_table, locality_table, markdown_table
from polypatch.evaluation.teacher_forced import token_accuracies, token_accuracy
from polypatch.evaluation.transfer import Transfer, transfer

__all__ = [
    "Aggregate",
    "Cells",
    "Gain",
    "Locality",
    "Matrix",
    "Report",
    "Stat",
    "Transfer",
    "aggregate",
    "console_table",
    "evaluate",
    "gain",
    "latex_table",
    "load_cells",
    "load_reports",
    "locality_table",
    "markdown_table",
    "matrix",
    "matrix_grid",
    "perplexities",
    "perplexity",
    "plain_text_perplexity",
    "prompts",
    "save_cells",
    "save_reports",
    "source_errors",
    "target_accuracy",
    "token_accuracies",
    "token_accuracy",
    "transfer",
    "wrong_everywhere",
]
