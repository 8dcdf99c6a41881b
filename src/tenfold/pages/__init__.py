"""Pages for people: one self-contained HTML file each, that looks the same wherever it is from.

A page extends ``base.html``, which gives it the shared style: light and dark, phone and desktop,
screen and paper. What it shows is escaped; its style and script are named by their digest in its
content security policy, which allows no network and nothing else.
"""

from tenfold.pages.picture import data_uri
from tenfold.pages.render import render

__all__ = ["data_uri", "render"]
