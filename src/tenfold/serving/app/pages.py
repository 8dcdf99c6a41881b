"""The pages for people: the one at ``/``, and the description of the API at ``/docs``."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Response

from tenfold.data.decode import FORMATS
from tenfold.pages import render
from tenfold.serving.app.limits import Limits
from tenfold.serving.app.served import Served

_PACKAGE = "tenfold.serving.app"
_EXAMPLES = {
    "/v1/predict": "curl -F picture=@cat.jpg -F picture=@dog.jpg 'ADDRESS/v1/predict?top=3'",
    "/v1/explain": "curl -H 'Content-Type: image/jpeg' --data-binary @cat.jpg ADDRESS/v1/explain",
    "/v1/model": "curl ADDRESS/v1/model",
}
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')


class Pages:
    """Renders the pages.

    Args:
        served: what is served.
        limits: what a picture must keep to.
    """

    def __init__(self, served: Served, limits: Limits) -> None:
        self._values = {
            "run": served.name,
            "recipe": served.recipe,
            "size": served.model.size,
            "classes": served.model.class_names,
            "test": served.test,
            "most_bytes": limits.body,
            "types": ",".join(f"image/{name.lower()}" for name in FORMATS),
        }

    def index(self) -> Response:
        """The page that takes a picture."""
        policy = {"connect-src": "'self'", "img-src": "'self' data: blob:"}
        return _page(render(_PACKAGE, "index.html", self._values, policy=policy))

    def docs(self, document: Mapping[str, Any]) -> Response:
        """The page that describes the API.

        Args:
            document: what ``/openapi.json`` answers.
        """
        operations = [
            {"method": method.upper(), "path": path, **operation}
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        values = {"run": self._values["run"], "version": document["openapi"]}
        values |= {"operations": operations, "examples": _EXAMPLES}
        return _page(render(_PACKAGE, "docs.html", values))


def _page(text: str) -> Response:
    """A page whose policy is also a header, which may say more than a page can."""
    found = _POLICY.search(text)
    assert found is not None  # noqa: S101 - the base template has it
    policy = f"{html.unescape(found[1])}; frame-ancestors 'none'"
    headers = {"content-security-policy": policy, "cache-control": "no-cache"}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)
