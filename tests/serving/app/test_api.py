"""What the API answers, without a socket: predictions, facts, refusals, and their description."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tenfold.data.decode import decode
from tenfold.run import Run
from tenfold.serving.app import Limits, Served
from tenfold.serving.app.schemas import Explanation, ModelBody, Predictions, ProblemBody
from tenfold.serving.predictor import Predictor

from ..colours import BLUE, GREEN, RED, picture
from .conftest import SIZE, Client, assembled, refused, talk

PNG = {"content-type": "image/png"}


def test_one_picture_is_the_body(ask: Client) -> None:
    answer = ask("POST", "/v1/predict", content=RED, headers=PNG)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    top = [("red", 0.6), ("green", 0.3), ("blue", 0.1)]
    assert answer.json() == {
        "predictions": [
            {
                "name": None,
                "class": "red",
                "probability": 0.6,
                "top": [{"class": name, "probability": share} for name, share in top],
            }
        ]
    }


def test_several_pictures_are_answered_in_order(ask: Client) -> None:
    files = [
        ("picture", ("b.png", BLUE, "image/png")),
        ("whatever", ("ärger.png", RED, "image/png")),
        ("picture", ("g", GREEN, "application/octet-stream")),
    ]
    found = ask("POST", "/v1/predict?top=1", files=files).json()["predictions"]
    assert [one["name"] for one in found] == ["b.png", "ärger.png", "g"]
    assert [one["class"] for one in found] == ["blue", "red", "green"]
    assert [len(one["top"]) for one in found] == [1, 1, 1]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_a_picture_is_seen_as_the_store_sees_it(ask: Client, run: Run, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form)
    content = buffer.getvalue()
    (row,) = Predictor(run.onnx_path).predict(decode(content, SIZE)[np.newaxis])
    answer = ask("POST", "/v1/predict", content=content, headers={"content-type": "image/x"})
    top = answer.json()["predictions"][0]["top"]
    by_class = {one["class"]: one["probability"] for one in top}
    assert [by_class[name] for name in ("red", "green", "blue")] == pytest.approx(row, abs=1e-6)


def test_orientation_in_the_exif_counts(ask: Client) -> None:
    # Half red, half blue, and wide: turned by its orientation it is tall, and its centre square
    # has both; an occlusion map shows which is on top.
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = (200, 10, 10), (10, 10, 190)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left comes on top
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    drops = np.array(
        ask("POST", "/v1/explain", content=buffer.getvalue(), headers=PNG).json()["drops"]
    )
    assert drops[:3].mean() > 0.02
    assert drops[5:].mean() < -0.005


def test_the_occlusion_map_finds_what_the_answer_rests_on(ask: Client) -> None:
    pixels = np.full((SIZE, SIZE, 3), 20, np.uint8)
    pixels[5:7, 1:3] = (255, 20, 20)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    answer = ask("POST", "/v1/explain", files=[("p", ("p.png", buffer.getvalue()))]).json()
    assert (answer["class"], answer["size"]) == ("red", SIZE)
    drops = np.array(answer["drops"])
    assert drops.shape == (SIZE, SIZE)
    row, column = np.unravel_index(drops.argmax(), drops.shape)
    assert row in (5, 6)
    assert column in (1, 2)


def test_one_picture_is_explained_at_a_time(ask: Client) -> None:
    files = [("p", ("a.png", RED)), ("p", ("b.png", BLUE))]
    assert "one picture is explained at a time" in refused(
        ask("POST", "/v1/explain", files=files), 413
    )


def test_the_model_is_described(ask: Client, served: Served) -> None:
    answer = ask("GET", "/v1/model").json()
    assert answer["run"] == "colours"
    assert answer["recipe"] == "colours"
    assert answer["classes"] == ["red", "green", "blue"]
    assert answer["size"] == SIZE
    assert answer["test"] == {"accuracy": 0.75, "interval": [0.5, 0.875], "pictures": 12}
    assert answer["limits"]["body_bytes"] == 100_000
    assert set(answer["versions"]) >= {"tenfold", "onnxruntime", "python"}
    assert "/" not in answer["run"]


def huge() -> bytes:
    return picture((1, 2, 3), size=(301, 300))


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        ({"content": b"", "headers": PNG}, 400, "the body is empty"),
        ({"content": b"no picture", "headers": PNG}, 422, "the picture: not a JPEG, PNG, WebP"),
        ({"content": RED[:-30], "headers": PNG}, 422, "the picture: damaged"),
        ({"content": RED, "headers": {}}, 415, "type unknown holds no pictures"),
        ({"content": RED, "headers": {"content-type": "text/plain"}}, 415, "of type text/plain"),
        ({"data": {"a": "b"}}, 415, "application/x-www-form-urlencoded holds no pictures"),
        ({"json": {"a": 1}}, 415, "Content-Type: image/jpeg"),
        ({"content": b"x" * 100_001, "headers": PNG}, 413, "larger than 100,000 bytes"),
        ({"content": huge(), "headers": PNG}, 413, "301 x 300 pixels, and the limit is 90,000"),
        ({"files": [("p", ("n", RED))] * 4}, 413, "more than 3 pictures"),
        (
            {"files": [("p", ("good.png", RED)), ("p", ("bad.png", b"?"))]},
            422,
            "picture 2 ('bad.png'): not a JPEG",
        ),
        (
            {"data": {"top": "3"}, "files": [("p", ("n", RED))]},
            400,
            "the field 'top' of the multipart body is no file",
        ),
        (
            {"content": RED, "headers": {"content-type": "multipart/form-data"}},
            400,
            "has no boundary",
        ),
        (
            {"content": RED, "headers": {"content-type": "multipart/form-data; boundary=x"}},
            400,
            "malformed",
        ),
        (
            {
                "content": b"--x--\r\n",
                "headers": {"content-type": "multipart/form-data; boundary=x"},
            },
            400,
            "holds no picture",
        ),
        ({"content": RED, "headers": {**PNG, "content-encoding": "gzip"}}, 415, "compressed"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/explain"])
def test_what_is_wrong_is_refused_in_one_line(
    ask: Client, path: str, options: dict[str, Any], status: int, line: str
) -> None:
    if path == "/v1/explain" and "bad.png" in str(options.get("files")):
        pytest.skip("two pictures are refused for being two")
    assert line in refused(ask("POST", path, **options), status)


@pytest.mark.parametrize("top", ["0", "-1", "x", "", "1.5", "1&top=2", "9" * 5000, "%31%00", "٣"])
def test_top_is_a_whole_number(ask: Client, top: str) -> None:
    answer = ask("POST", f"/v1/predict?top={top}", content=RED, headers=PNG)
    assert "top must be a whole number" in refused(answer, 422)


def test_top_beyond_the_classes_names_them_all(ask: Client) -> None:
    answer = ask("POST", "/v1/predict?top=900", content=RED, headers=PNG)
    assert len(answer.json()["predictions"][0]["top"]) == 3


def test_a_picture_for_which_the_model_has_no_numbers(ask: Client) -> None:
    answer = ask("POST", "/v1/predict", content=picture((0, 0, 0)), headers=PNG)
    assert "the model gives no numbers" in refused(answer, 422)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/static/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "//etc/passwd", 404),
        ("GET", "/v1/predict", 405),
        ("DELETE", "/v1/predict", 405),
        ("POST", "/v1/model", 405),
        ("POST", "/", 405),
    ],
)
def test_paths_and_methods_that_there_are_not(
    ask: Client, method: str, path: str, status: int
) -> None:
    assert "/docs" in refused(ask(method, path), status)


def test_a_fault_of_ours_shows_no_traceback(served: Served, tmp_path: Path) -> None:
    class Broken:
        class_names, size = ("a", "b"), SIZE

        def predict(self, pixels: np.ndarray) -> np.ndarray:
            raise RuntimeError("a secret")

    broken = Served(name="b", recipe="b", model=Broken(), test=None, versions=served.versions)
    log = tmp_path / "log"
    with assembled(broken, log) as parts:
        answer = Client(parts)("POST", "/v1/predict", content=RED, headers=PNG)
    detail = refused(answer, 500)
    request = answer.headers["x-request-id"]
    assert request in detail
    assert "secret" not in answer.text
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    (error,) = [line for line in logged if line["event"] == "error"]
    assert error["request"] == request
    assert "RuntimeError: a secret" in error["traceback"]


def test_every_answer_says_what_a_browser_may_do_with_it(ask: Client) -> None:
    for method, path in [("GET", "/"), ("GET", "/docs"), ("GET", "/v1/model"), ("GET", "/nope")]:
        headers = ask(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_a_request_is_called_what_the_client_calls_it(ask: Client) -> None:
    assert (
        ask("GET", "/healthz", headers={"x-request-id": "mine-1"}).headers["x-request-id"]
        == "mine-1"
    )
    made_up = ask("GET", "/healthz", headers={"x-request-id": "no {good}"}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", made_up)
    assert made_up != ask("GET", "/healthz").headers["x-request-id"]


def test_pages_have_no_part_that_is_elsewhere(ask: Client) -> None:
    for path in ("/", "/docs"):
        answer = ask("GET", path)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        sources = re.findall(r"""(?:src|href)=["']([^"'#]+)""", answer.text)
        assert all(source.startswith(("/", "data:")) for source in sources)
        assert ask("HEAD", path).headers["content-length"] == str(len(answer.content))


# The description


def test_every_answer_fits_its_description(ask: Client) -> None:
    Predictions.model_validate(ask("POST", "/v1/predict", content=RED, headers=PNG).json())
    Explanation.model_validate(ask("POST", "/v1/explain", content=RED, headers=PNG).json())
    ModelBody.model_validate(ask("GET", "/v1/model").json())
    ProblemBody.model_validate(ask("GET", "/nope").json())


def test_the_description_names_every_status_and_path(ask: Client) -> None:
    document = ask("GET", "/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/predict", "/v1/explain", "/v1/model", "/healthz", "/readyz", "/metrics"
    }  # fmt: skip
    for path in ("/v1/predict", "/v1/explain"):
        operation = document["paths"][path]["post"]
        statuses = {"200", "400", "408", "413", "415", "421", "422", "429", "503"}
        assert set(operation["responses"]) == statuses
        assert {"image/jpeg", "multipart/form-data"} <= set(operation["requestBody"]["content"])
    (top,) = document["paths"]["/v1/predict"]["post"]["parameters"]
    assert (top["name"], top["in"], top["schema"]["default"]) == ("top", "query", 5)


def test_every_example_in_the_description_fits_its_schema(ask: Client) -> None:
    document = ask("GET", "/openapi.json").json()
    models = {"Predictions": Predictions, "Explanation": Explanation, "ProblemBody": ProblemBody}
    checked = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if "example" in content:
                        name = content["schema"]["$ref"].rpartition("/")[2]
                        models[name].model_validate(content["example"])
                        checked += 1
    assert checked > 15
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


# Metrics and health


def test_metrics_count_by_path_and_status(ask_anew: Client) -> None:
    ask_anew("POST", "/v1/predict", content=RED, headers=PNG)
    ask_anew("POST", "/v1/predict", files=[("p", ("n", RED))] * 2)
    ask_anew("POST", "/v1/predict", content=b"?", headers=PNG)
    ask_anew("GET", "/made/up")
    text = ask_anew("GET", "/metrics").text
    assert 'tenfold_requests_total{path="/v1/predict",status="200"} 2.0' in text
    assert 'tenfold_requests_total{path="/v1/predict",status="422"} 1.0' in text
    assert 'tenfold_requests_total{path="other",status="404"} 1.0' in text
    assert "made" not in text
    assert "tenfold_pictures_total 3.0" in text
    assert "tenfold_batch_pictures_sum 3.0" in text
    assert 'tenfold_request_seconds_count{path="/v1/predict"} 3.0' in text
    assert "tenfold_queue_pictures 0.0" in text
    assert "tenfold_requests_in_flight 0.0" in text
    assert "tenfold_buffered_bytes 0.0" in text
    assert "process_resident_memory_bytes" in text


def test_ready_until_told_to_stop(ask_anew: Client) -> None:
    assert ask_anew("GET", "/healthz").json() == {"status": "ok"}
    assert ask_anew("GET", "/readyz").json() == {"status": "ready"}
    ask_anew.parts.admission.stopping = True
    assert "stops" in refused(ask_anew("GET", "/readyz"), 503)
    assert ask_anew("GET", "/healthz").status_code == 200


# Limits


def test_what_is_too_much_is_refused_and_the_rest_answered(served: Served) -> None:
    release = threading.Event()

    class Slow:
        class_names, size = served.model.class_names, served.model.size

        def predict(self, pixels: np.ndarray) -> np.ndarray:
            assert release.wait(30)
            return served.model.predict(pixels)

    slow = Served(name="s", recipe="s", model=Slow(), test=None, versions=served.versions)

    async def conversation(client: httpx.AsyncClient) -> list[httpx.Response]:
        tasks = [
            asyncio.create_task(client.post("/v1/predict", content=RED, headers=PNG))
            for _ in range(7)
        ]
        refusals = []
        for _ in range(4):
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            refusals += [task.result() for task in done]
            if len(refusals) >= 4:
                break
        release.set()
        return refusals + list(await asyncio.gather(*tasks))

    with assembled(slow, limits=Limits(requests=3)) as parts:
        found = talk(parts, conversation)
        assert parts.admission.working == 0
        assert parts.admission.buffered == 0
    assert [answer.status_code for answer in found] == [429] * 4 + [200] * 3
    assert found[0].headers["retry-after"] == "1"
    assert "try again" in refused(found[0], 429)


def test_an_answer_that_takes_too_long_is_503(served: Served) -> None:
    release = threading.Event()

    class Stuck:
        class_names, size = served.model.class_names, served.model.size

        def predict(self, pixels: np.ndarray) -> np.ndarray:
            release.wait(30)
            return served.model.predict(pixels)

    stuck = Served(name="s", recipe="s", model=Stuck(), test=None, versions=served.versions)
    with assembled(stuck, limits=Limits(answer_seconds=0.05)) as parts:

        async def conversation(client: httpx.AsyncClient) -> httpx.Response:
            answer = await client.post("/v1/predict", content=RED, headers=PNG)
            release.set()
            return answer

        answer = talk(parts, conversation)
        assert parts.admission.working == 0
    assert "no answer within 0.05 seconds" in refused(answer, 503)
    assert answer.headers["retry-after"] == "1"


def test_all_bodies_together_are_bounded(served: Served) -> None:
    with assembled(served, limits=Limits(buffered=len(RED) - 1)) as parts:
        answer = Client(parts)("POST", "/v1/predict", content=RED, headers=PNG)
        assert "take all the memory" in refused(answer, 503)
        assert parts.admission.buffered == 0
