"""From a template and values to one self-contained page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata, resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tenfold.pages import format as text

_SHARED = "tenfold.pages"

# A name in a source may hold what no page may: these are shown as escapes.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def render(
    package: str,
    template: str,
    values: Mapping[str, Any],
    *,
    policy: Mapping[str, str] | None = None,
) -> str:
    """Render a page.

    The template lies in the ``templates`` folder of ``package``, and so may a style sheet and a
    script of its own, by the same name with ``.css`` and ``.js``. Both are inlined after the shared
    ones. Names of the template's own choice are escaped, and a value that is not given is an error.

    Args:
        package: as in ``tenfold.evaluation.report``.
        template: the file's name; it extends ``base.html``.
        values: what it shows.
        policy: directives that the content security policy has besides the shared ones, as in
            ``{"connect-src": "'self'"}`` for a page that asks its server.

    Returns:
        The whole page. Text that UTF-8 cannot hold, and control characters, are shown as escapes.

    Raises:
        jinja2.UndefinedError: the template asks for a value that is missing.
    """
    stem = template.removesuffix(".html")
    style = _read(_SHARED, "base.css") + _read(package, f"{stem}.css")
    script = _read(_SHARED, "base.js") + _read(package, f"{stem}.js")
    page = (
        _environment(package)
        .get_template(template)
        .render(
            {
                **values,
                "style": Markup(style),  # noqa: S704  # ours, from files of this package
                "script": Markup(script),  # noqa: S704
                "policy": _policy(style, script, policy or {}),
                "tenfold_version": metadata.version("tenfold"),
            }
        )
    )
    page = _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", page)
    return page.encode(errors="backslashreplace").decode()


def _policy(style: str, script: str, extra: Mapping[str, str]) -> str:
    directives = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _digest(style),
        "script-src": _digest(script),
        "base-uri": "'none'",
        "form-action": "'none'",
        **extra,
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _read(package: str, name: str) -> str:
    """A file of a package's ``templates``; empty where there is none."""
    file = resources.files(package) / "templates" / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(_SHARED)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=text.count, percent=text.percent, seconds=text.seconds, size=text.size
    )
    environment.globals["counted"] = text.counted
    return environment
