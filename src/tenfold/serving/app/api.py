"""The paths of the server, and their description in `/openapi.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from tenfold.serving.app.admission import Admission
from tenfold.serving.app.endpoints import DEFAULT_TOP
from tenfold.serving.app.limits import Limits
from tenfold.serving.app.metrics import CONTENT_TYPE, Metrics
from tenfold.serving.app.pages import Pages
from tenfold.serving.app.problems import ProblemError, our_fault
from tenfold.serving.app.schemas import (
    Explanation,
    LimitsBody,
    ModelBody,
    Predictions,
    ProblemBody,
    Status,
)
from tenfold.serving.app.served import Served

PREDICT, EXPLAIN = "/v1/predict", "/v1/explain"
OTHERS = ("/", "/docs", "/openapi.json", "/v1/model", "/healthz", "/readyz", "/metrics")

_ANSWER = "The answer."
_PICTURE_BODY = {
    "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
    "image/png": {"schema": {"type": "string", "format": "binary"}},
    "image/webp": {"schema": {"type": "string", "format": "binary"}},
    "image/bmp": {"schema": {"type": "string", "format": "binary"}},
    "image/gif": {"schema": {"type": "string", "format": "binary"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}


def _multipart(several: bool) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": file, "description": "A part for each picture."}
    one = {**file, "description": "The picture."}
    return {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"picture": files if several else one},
                "required": ["picture"],
            }
        }
    }


_PREDICTIONS_EXAMPLE = {
    "predictions": [
        {
            "name": "cat.jpg",
            "class": "cat",
            "probability": 0.8731,
            "top": [
                {"class": "cat", "probability": 0.8731},
                {"class": "dog", "probability": 0.1024},
            ],
        }
    ]
}
_EXPLANATION_EXAMPLE = {
    "class": "cat",
    "probability": 0.8731,
    "size": 32,
    "patch": 1,
    "drops": [[0.0012, 0.0431], [0.0204, 0.6120]],
}

# Why a request with pictures is refused: the status, and the line that goes with it.
_REFUSALS = {
    400: "the multipart body is cut short; send it again",
    408: "the request did not arrive within 20 seconds; send it again",
    413: "the body is larger than 16,777,216 bytes; send fewer or smaller pictures",
    415: "a body of type text/plain holds no pictures; send one picture as the body, with its "
    "type (Content-Type: image/jpeg), or several as multipart/form-data",
    421: "this server does not go by the name in the Host header; whoever runs it can allow that "
    "name with --allow-host",
    422: "the picture ('cat.jpg'): not a JPEG, PNG, WebP, BMP or GIF picture, or cut short",
    429: "the server works on all it can; try again in a second",
    503: "there was no answer within 10 seconds; try again later",
}
_MEANINGS = {
    400: "The body is empty or malformed.",
    408: "The request came too slowly.",
    413: "The body, a picture, or the number of pictures is too large.",
    415: "The body is of a type that holds no pictures.",
    421: "The Host header names another server.",
    422: "A picture cannot be decoded, or an argument is wrong.",
    429: "More requests than are worked on at a time; try again after Retry-After.",
    503: "No answer in time, or no memory for the body; try again after Retry-After.",
}


def create_api(
    served: Served,
    limits: Limits,
    admission: Admission,
    metrics: Metrics,
    pages: Pages,
    *,
    predict: ASGIApp,
    explain: ASGIApp,
) -> FastAPI:
    """The app inside `tenfold.serving.app.gate.Gate`.

    Args:
        served: what is served.
        limits: as they are told.
        admission: knows whether the server stops.
        metrics: what ``/metrics`` shows.
        pages: for people.
        predict: answers ``POST /v1/predict``.
        explain: answers ``POST /v1/explain``.
    """
    app = FastAPI(
        title="Tenfold",
        version=metadata.version("tenfold"),
        description=f"Predictions of the run {served.name}: {len(served.model.class_names)} "
        f"classes, recipe {served.recipe}.",
        openapi_url=None,
        docs_url=None,  # FastAPI's own load scripts from elsewhere
        redoc_url=None,
    )

    def describe_predict(
        top: Annotated[
            int, Query(ge=1, description="How many classes to name, the most probable first.")
        ] = DEFAULT_TOP,
    ) -> None:
        """Class probabilities of one picture, or of several."""

    def describe_explain() -> None:
        """Where the model looks: how much the probability drops as a grey patch covers a place."""

    app.router.routes += [
        _WorkRoute(PREDICT, describe_predict, predict, Predictions, _PREDICTIONS_EXAMPLE, True),
        _WorkRoute(EXPLAIN, describe_explain, explain, Explanation, _EXPLANATION_EXAMPLE, False),
    ]

    @app.get("/v1/model", tags=["model"], response_description=_ANSWER, responses=_problems(421))
    async def model() -> ModelBody:
        """What is served: classes, size, recipe, test accuracy, versions and limits."""
        return ModelBody(
            run=served.name,
            recipe=served.recipe,
            size=served.model.size,
            classes=list(served.model.class_names),
            test=served.test,
            versions=served.versions,
            limits=LimitsBody(
                body_bytes=limits.body,
                pixels=limits.pixels,
                pictures=limits.pictures,
                requests=limits.requests,
                read_seconds=limits.read_seconds,
                answer_seconds=limits.answer_seconds,
            ),
        )

    @app.get("/healthz", tags=["operation"], response_description=_ANSWER, responses=_problems(421))
    async def healthz() -> Status:
        """Whether the process lives; it does, if it answers."""
        return Status(status="ok")

    @app.get(
        "/readyz", tags=["operation"], response_description=_ANSWER, responses=_problems(421, 503)
    )
    async def readyz() -> Status:
        """Whether requests are welcome: 503 once the server has been told to stop."""
        if admission.stopping:
            raise ProblemError(503, "the server stops; ask another")
        return Status(status="ready")

    @app.get(
        "/metrics",
        tags=["operation"],
        response_description="Text as Prometheus reads it.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def show_metrics() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    document = _document(app)
    shown = {
        "/": pages.index(),
        "/docs": pages.docs(document),
        "/openapi.json": JSONResponse(document),
    }
    for path, answer in shown.items():
        # Made once: nothing in them changes while the server runs.
        app.router.add_route(path, _always(answer), ["GET", "HEAD"], include_in_schema=False)
    _answer_exceptions(app)
    return app


def _always(answer: Response) -> Callable[[Request], Response]:
    return lambda _: answer


def _answer_exceptions(app: FastAPI) -> None:
    """Let every refusal be a problem; those of the work are the gate's to answer."""

    @app.exception_handler(ProblemError)
    async def refuse(request: Request, problem: ProblemError) -> Response:
        headers = {name.decode(): value.decode() for name, value in problem.raw_headers()}
        return Response(problem.body(), problem.status, headers)

    @app.exception_handler(HTTPException)
    async def explain(request: Request, error: HTTPException) -> Response:
        detail = {
            404: "there is no such path; /docs lists those there are",
            405: f"{request.method} is not for this path; /docs says what is",
        }.get(error.status_code, str(error.detail))
        return await refuse(request, ProblemError(error.status_code, detail, headers=error.headers))

    @app.exception_handler(Exception)
    async def confess(request: Request, error: Exception) -> Response:
        return await refuse(request, our_fault(request.scope["tenfold"].id))


def _document(app: FastAPI) -> dict[str, Any]:
    """What FastAPI knows of the paths, and the one schema that it does not."""
    document = app.openapi()
    document["components"]["schemas"]["ProblemBody"] = ProblemBody.model_json_schema()
    return document


class _WorkRoute(APIRoute):
    """A path that is described to FastAPI, and answered beneath it."""

    def __init__(
        self,
        path: str,
        description: Callable[..., None],
        app: ASGIApp,
        answer: type,
        example: Mapping[str, Any],
        several: bool,
    ) -> None:
        super().__init__(
            path,
            description,
            methods=["POST"],
            name=path.rpartition("/")[2],
            tags=["model"],
            response_model=answer,
            response_description=_ANSWER,
            responses={
                200: {"content": {"application/json": {"example": example}}},
                **_problems(*_REFUSALS),
            },
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {**_PICTURE_BODY, **_multipart(several)},
                }
            },
        )
        self.app = app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of answers that are problems."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/ProblemBody"},
                    "example": ProblemError(status, _REFUSALS[status]).value(),
                }
            },
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in statuses
    }


_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
}
