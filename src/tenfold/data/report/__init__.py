"""The data report: what a source holds, and what is wrong with it."""

from tenfold.data.report.facts import DataReport, collect
from tenfold.data.report.json_form import as_json
from tenfold.data.report.page import write_page
from tenfold.data.report.suspicion import Suspects, Suspicion, suspects

__all__ = [
    "DataReport",
    "Suspects",
    "Suspicion",
    "as_json",
    "collect",
    "suspects",
    "write_page",
]
