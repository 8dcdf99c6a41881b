"""Tenfold trains image classifiers on the computer you have."""
