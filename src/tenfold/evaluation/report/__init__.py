"""The report of a run: one page for people, made from the run folder alone."""

from tenfold.evaluation.report.leave import leave_report
from tenfold.evaluation.report.page import write_report

__all__ = ["leave_report", "write_report"]
