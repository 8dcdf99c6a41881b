"""What a report says is what the run folder holds, whatever that is."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.errors import OutputError, RunError
from tenfold.evaluation import load_result
from tenfold.evaluation.details import load_details
from tenfold.evaluation.report import write_report
from tenfold.evaluation.scores import class_scores
from tenfold.recipe import load_recipe
from tenfold.run import Run

from .conftest import MakeRun, predictions
from .reading import Element, read

ANIMALS = ["bird", "cat", "deer", "dog"]


def page_of(run: Run) -> Element:
    return read(write_report(run))


def section(page: Element, name: str) -> Element:
    return page.one("section", id=name)


def cells(table: Element) -> list[list[str]]:
    (body,) = table.all("tbody")
    return [
        [cell.text for cell in row.children if isinstance(cell, Element)] for row in body.all("tr")
    ]


def test_the_headline_is_the_test_accuracy_with_its_interval(make_run: MakeRun) -> None:
    run = make_run(names=ANIMALS, predicted=predictions(4, 500))
    test = load_result(run).test
    low, high = test.interval
    text = section(page_of(run), "result").text
    assert f"{test.accuracy:.2%} test accuracy 95% interval {low:.2%} to {high:.2%}" in text
    assert f"about {test.accuracy * 100:.0f} times in 100" in text
    assert f"right on {test.correct} of the 500 pictures" in text
    assert "A guess among the 4 classes is right 25.0% of the time" in text
    assert f"right {test.accuracy / 0.25:.1f} times as often" in text
    assert "epoch 10 of 10: the last one" in text


def test_a_model_at_chance_is_said_to_be_no_better_than_guessing(make_run: MakeRun) -> None:
    text = section(page_of(make_run(predicted=predictions(10, 400, skill=0.0))), "result").text
    assert "by this test, the model is no better than that" in text
    assert "times as often" not in text


def test_guessing_the_commonest_class_counts_as_guessing(make_run: MakeRun) -> None:
    labels = np.array([0] * 90 + [1] * 10)
    text = section(
        page_of(make_run(names=["cat", "dog"], predicted=(labels, np.eye(2)[labels * 0]))), "result"
    ).text
    assert "always answering cat, the most frequent class, 90.0%" in text
    assert "no better than that" in text


def test_scores_and_confusion_are_those_of_the_result(make_run: MakeRun) -> None:
    run = make_run(names=ANIMALS, predicted=predictions(4, 300))
    page, test = page_of(run), load_result(run).test
    expected = [
        [name, f"{s.support}", f"{s.precision:.1%}", f"{s.recall:.1%}", f"{s.f1:.1%}"]
        for name, s in zip(ANIMALS, class_scores(test), strict=True)
    ]
    assert cells(section(page, "classes").one("table")) == expected
    matrix = cells(section(page, "confusion").one("table"))
    assert [row[0] for row in matrix] == ANIMALS
    found = [[int(cell or 0) for cell in row[1:]] for row in matrix]
    assert found == [list(row) for row in test.confusion]


def test_mistakes_are_shown_with_both_classes_and_the_confidence(make_run: MakeRun) -> None:
    run = make_run(names=ANIMALS, predicted=predictions(4, 300))
    details = load_details(run, 4)
    assert details is not None
    shown = section(page_of(run), "mistakes").all("li")
    assert [one.text for one in shown] == [
        f"is {ANIMALS[one.true]} taken for {ANIMALS[one.predicted]} {one.confidence:.1%} sure"
        for one in details.mistakes
    ]
    assert [one.one("img").attributes["src"] for one in shown] == [
        one.picture for one in details.mistakes
    ]


def test_calibration_is_shown_before_and_after_the_temperature(make_run: MakeRun) -> None:
    run = make_run(temperature=2.0)
    run.calibration_path.write_text(json.dumps({"temperature": 2.0, "count": 5000, "reason": None}))
    details = load_details(run, 10)
    assert details is not None
    found = section(page_of(run), "calibration")
    assert [one.text for one in found.all("strong")][1:] == [
        "Without the temperature", "At temperature 2"
    ]  # fmt: skip
    assert "fitted on 5,000 validation pictures" in found.text
    written = json.loads(run.details_path.read_text())
    assert f"is {written['expected_calibration_error']:.2%}; it would be" in found.text


def test_early_stopping_keeps_the_epoch_of_the_lowest_validation_loss(make_run: MakeRun) -> None:
    overrides = ["training.early_stopping=2", "training.epochs=30"]
    run = make_run(overrides=overrides, epochs=3)
    epochs = [{"event": "epoch", "epoch": 4, "step": 40, "loss": 0.1, "validation_loss": 9.0}]
    run.record(epochs[0] | {"accuracy": 0.9, "validation_accuracy": 0.5})
    text = section(page_of(run), "result").text
    assert "epoch 3 of 4 (30 planned): it had the lowest validation loss" in text


def test_what_differs_from_the_defaults_comes_first_and_then_all(make_run: MakeRun) -> None:
    found = section(page_of(make_run(recipe="digits", overrides=["seed=7"])), "recipe")
    rows = dict(row[:2] for row in cells(found.one("table")))
    assert rows["seed"] == "7"
    assert rows["training.batch_size"] == "32"
    assert "model.dropout" not in rows
    assert "dropout = 0.4" in found.one("details").text


def test_data_and_machine_are_said(make_run: MakeRun) -> None:
    skipped = [[f"{n}.png", "truncated"] for n in range(60)]
    page = page_of(make_run(skipped=skipped))
    text = section(page, "data").text
    assert "train split 45,000 pictures" in text
    assert "60 damaged pictures" in text
    assert "0.png truncated" in text
    assert "and 10 more, in source.json" in text
    machine = section(page, "machine").text
    assert "AMD EPYC, 2 cores" in machine
    assert "float32: the processor would emulate bf16" in machine


def test_findings_are_said_at_the_top(make_run: MakeRun) -> None:
    found = section(page_of(make_run(findings=["3 pictures are in <both> splits"])), "result")
    assert "3 pictures are in <both> splits" in found.all("div", class_="warning")[0].text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "قطة",
    "猫" * 40,
    "x" * 300,
    "{{ 7 * 7 }}",
    "\x00\x1b[31m",
    "\ud800",
]


def test_names_are_text_whatever_they_hold(make_run: MakeRun) -> None:
    run = make_run(names=HOSTILE, source="/data/<b>loud", overrides=["name=<i>x</i>"])
    page = page_of(run)
    assert len(page.all("script")) == 1
    assert all("onerror" not in element.attributes for element in page.walk())
    shown = [row[0] for row in cells(section(page, "classes").one("table"))]
    assert shown == [*HOSTILE[:6], "\\x00\\x1b[31m", "\\ud800"]
    assert page.one("h1").text == "<i>x</i> on <b>loud"


def test_the_page_asks_for_nothing_and_its_links_lead_somewhere(make_run: MakeRun) -> None:
    page = page_of(make_run(temperature=1.5))
    ids = [element.attributes["id"] for element in page.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.walk():
        for key in ("href", "src"):
            value = element.attributes.get(key, "#content")
            assert value.startswith("data:image/") or value[1:] in ids
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert all("style" not in element.attributes for element in page.walk())


def test_an_unfinished_run_tells_how_far_it_came(make_run: MakeRun) -> None:
    page = page_of(make_run(finished=False, epochs=3))
    text = section(page, "result").text
    assert "This run is unfinished" in text
    assert "3 epochs of 10" in text
    assert len(section(page, "training").all("polyline")) == 6
    assert page.all("section", id="classes") == []


def test_a_run_that_was_killed_at_once_has_a_report_too(make_run: MakeRun) -> None:
    page = page_of(make_run(finished=False, epochs=0, origins=False))
    assert "no source.json" in section(page, "result").text
    assert "no epoch was trained to its end" in section(page, "training").text
    assert "tenfold train SOURCE" in section(page, "reproduce").text


def test_what_an_older_run_lacks_is_left_out_and_said(make_run: MakeRun) -> None:
    page = page_of(make_run(detailed=False))
    assert "no details.json" in section(page, "result").text
    assert page.all("section", id="mistakes") == page.all("section", id="calibration") == []
    pairs = section(page, "confusion").one("ol").all("li")
    assert len(pairs) == 10
    assert all("taken for" in pair.text for pair in pairs)


def test_nothing_but_nan_is_said_and_not_drawn(make_run: MakeRun) -> None:
    labels, probabilities = predictions(10, 100)
    nothing = (labels, np.full_like(probabilities, np.nan))
    page = page_of(make_run(predicted=nothing, nan_from=1, validation=False))
    assert "For 100 pictures the model gave no number" in section(page, "result").text
    assert "0.00% test accuracy" in section(page, "result").text
    training = section(page, "training").text
    assert "the loss was no longer a number" in training
    assert "There was no validation split" in training
    assert page.all("section", id="calibration") == []


def test_a_thousand_classes_stay_a_page(make_run: MakeRun) -> None:
    names = [f"synset {number}" for number in range(1000)]
    run = make_run(names=names, predicted=predictions(1000, 3000, skill=4.0))
    page = page_of(run)
    assert run.report_path.stat().st_size < 1_500_000
    assert "1,000 classes make no matrix" in section(page, "confusion").text
    assert len(cells(section(page, "classes").one("table"))) == 1000


def test_a_report_is_made_again_from_the_folder_alone(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    first = write_report(run).read_bytes()
    moved = Run(run.path.rename(tmp_path / "elsewhere")).path / ".." / "elsewhere"
    again = write_report(Run(moved)).read_bytes()
    assert again.replace(b"elsewhere", b"made") == first.replace(b"elsewhere", b"made")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", '{"event": "epoch", "epoch": "first"}\n'),
        ("metrics.jsonl", '{"event": "epoch", "epoch": 1, "loss": [2]}\n'),
        ("metrics.jsonl", '{"event": "epoch", "epoch": -1}\n'),
        ("metrics.jsonl", "{}\n"),
        ("details.json", "{}"),
        ("calibration.json", "[]"),
        ("source.json", "{}"),
        ("environment.json", '{"machine": {}}'),
        ("result.json", "{}"),
    ],
)
def test_a_damaged_file_is_named(make_run: MakeRun, name: str, content: str) -> None:
    run = make_run(temperature=2.0)
    (run.path / name).write_text(content)
    with pytest.raises(RunError, match=re.escape(name)):
        write_report(run)
    assert not run.report_path.exists()


def test_values_of_the_machine_that_cannot_be_are_named(make_run: MakeRun) -> None:
    run = make_run()
    facts = run.environment()
    facts["machine"]["memory_total"] = ["much"]
    run.environment_path.write_text(json.dumps(facts))
    with pytest.raises(RunError, match=r"environment\.json, machine\.memory_total"):
        write_report(run)


def test_a_place_that_takes_no_page_is_named(make_run: MakeRun) -> None:
    run = make_run()
    run.report_path.mkdir()
    with pytest.raises(OutputError, match=r"report\.html"):
        write_report(run)


@pytest.mark.parametrize(
    ("recipe", "overrides", "expected"),
    [
        ("lab-2", [], "--recipe lab-2"),
        ("digits", ["seed=3", "training.epochs=4"], "--recipe digits --set seed=3 --set training"),
        ("lab-1", ["training.early_stopping=2", "optimizer.name=sgd"], "optimizer.name=sgd"),
        ("lab-2", ["name=my own"], "/recipe.toml"),
    ],
)
def test_the_command_trains_the_same_recipe_on_the_same_source(
    make_run: MakeRun, recipe: str, overrides: list[str], expected: str
) -> None:
    run = make_run(recipe=recipe, overrides=overrides, source="/data/my pictures")
    change_options(run, seed=run.recipe().seed)
    text = section(page_of(run), "reproduce").one("pre").text
    assert expected in text
    train, source, *options = shlex.split(text)[1:]
    assert (train, source, options[0]) == ("train", "/data/my pictures", "--recipe")
    assert options[2::2] == ["--set"] * len(options[3::2])
    assert load_recipe(options[1], options[3::2]) == run.recipe()


def test_splits_that_were_drawn_otherwise_than_the_recipe_says_are_asked_for(
    make_run: MakeRun,
) -> None:
    run = make_run()
    change_options(run, rows=500, size=16)
    text = section(page_of(run), "reproduce").one("pre").text
    assert "--set data.size=16" in text
    assert "--set data.rows=500" in text


@pytest.mark.parametrize("options", [{}, {"seed": 5}])
def test_no_command_is_given_where_none_would_do(
    make_run: MakeRun, options: dict[str, Any]
) -> None:
    run = make_run()
    run.source_path.write_text(json.dumps(run.source() | {"options": options}))
    found = section(page_of(run), "reproduce")
    assert "No command makes this run again" in found.text
    assert found.all("button") == []


def change_options(run: Run, **changes: Any) -> None:
    facts = run.source()
    facts["options"] |= changes
    run.source_path.write_text(json.dumps(facts))
