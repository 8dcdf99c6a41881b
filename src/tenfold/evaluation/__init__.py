"""What a training came to: metrics, results, pictures of them, and runs side by side."""

from tenfold.evaluation.calibration import Calibration, calibrate, save_calibration
from tenfold.evaluation.compare import Comparison, Difference, Summary, compare, summarize
from tenfold.evaluation.metrics import Evaluation, evaluate_probabilities
from tenfold.evaluation.plots import draw_confusion, draw_curves
from tenfold.evaluation.result import Result, TimeUsed, load_result, save_result

__all__ = [
    "Calibration",
    "Comparison",
    "Difference",
    "Evaluation",
    "Result",
    "Summary",
    "TimeUsed",
    "calibrate",
    "compare",
    "draw_confusion",
    "draw_curves",
    "evaluate_probabilities",
    "load_result",
    "save_calibration",
    "save_result",
    "summarize",
]
