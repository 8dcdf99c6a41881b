"""``tenfold predict``: pictures in, classes out, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tenfold.cli._quick import predict_arguments
from tenfold.run import Run

from ..serving.colours import BLUE, GREEN, RED, picture, write_run
from .conftest import COMMAND, Invoke, Trained, write_files

Refused = Callable[..., str]


@pytest.fixture
def run(here: Path) -> Run:
    """A run whose model says which colour a picture has; no other is newer."""
    return write_run(here / "runs" / "colours")


@pytest.fixture
def photos(here: Path) -> Path:
    return write_files(here / "photos", {"a.png": RED, "b.png": BLUE, "sub/c.png": GREEN})


# --- What is printed -----------------------------------------------------------------------------


def test_a_table_has_a_line_a_picture(tenfold: Invoke, run: Run, photos: Path) -> None:
    outcome = tenfold("predict", "latest", "photos")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "1st            2nd            3rd            path",
        "red     60.0%  green   30.0%  blue    10.0%  photos/a.png",
        "blue    60.0%  green   30.0%  red     10.0%  photos/b.png",
        "green   60.0%  red     30.0%  blue    10.0%  photos/sub/c.png",
    ]


def test_csv_reads_back_whatever_the_names(tenfold: Invoke, here: Path) -> None:
    write_run(here / "run", ['re"d', "gre,en", "blue\r\n"])
    names = ["a,b.png", 'quo"te.png', "new\nline.png", "ünï.png", " space.png"]
    write_files(here / "photos", dict.fromkeys(names, RED))
    outcome = tenfold("predict", "run", "photos", "--csv")
    rows = list(csv.reader(io.StringIO(outcome.out, newline=""), strict=True))
    heading = "path,class_1,probability_1,class_2,probability_2,class_3,probability_3"
    assert rows[0] == heading.split(",")
    answer = ['re"d', "0.6", "gre,en", "0.3", "blue\r\n", "0.1"]
    assert rows[1:] == [[f"photos/{name}", *answer] for name in sorted(names)]
    assert outcome.out.count("\r\n") == len(names) + 1 + len(names)  # and those in a class's name


def test_json_is_one_object(tenfold: Invoke, run: Run, photos: Path) -> None:
    write_files(photos, {"bad.png": b"no"})
    outcome = tenfold("predict", run.path, "photos", "--json", "--top", "1")
    assert outcome.code == 2
    assert json.loads(outcome.out) == {
        "run": str(run.path),
        "predictions": [
            {"path": "photos/a.png", "top": [{"class": "red", "probability": 0.6}]},
            {"path": "photos/b.png", "top": [{"class": "blue", "probability": 0.6}]},
            {"path": "photos/sub/c.png", "top": [{"class": "green", "probability": 0.6}]},
        ],
        "skipped": [
            {
                "path": "photos/bad.png",
                "reason": "not a JPEG, PNG, WebP, BMP or GIF picture, or cut short",
            }
        ],
    }


def test_json_is_an_object_where_nothing_is_answered_or_skipped(
    tenfold: Invoke, run: Run, photos: Path
) -> None:
    outcome = tenfold("predict", "latest", "gone.png", "--json")
    assert outcome.code == 2
    value = json.loads(outcome.out)
    assert value["predictions"] == []
    assert [one["path"] for one in value["skipped"]] == ["gone.png"]
    assert tenfold("predict", "latest", "photos", "--json").json()["skipped"] == []


def test_probabilities_keep_six_digits(tenfold: Invoke, run: Run, here: Path) -> None:
    (here / "x.png").write_bytes(picture((200, 100, 7)))
    (one,) = tenfold("predict", "latest", "x.png", "--json").json()["predictions"]
    got = [top["probability"] for top in one["top"]]
    np.testing.assert_allclose(got, np.array([200, 100, 7]) / 307, rtol=2e-6)


def test_a_file_takes_the_answer_in_the_form_of_its_name(
    tenfold: Invoke, run: Run, photos: Path, here: Path
) -> None:
    for name, start in {
        "out.csv": b"path,class_1",
        "out.JSON": b'{\n  "run"',
        "new/out.txt": b"1st   ",
    }.items():
        outcome = tenfold("predict", "latest", "photos", "-o", name)
        assert (outcome.code, outcome.out, outcome.err) == (0, "", f"saved {name}\n")
        assert (here / name).read_bytes().startswith(start)
    assert tenfold("predict", "latest", "photos", "--json", "--out", "x.txt").code == 0
    assert len(json.loads((here / "x.txt").read_text())["predictions"]) == 3


def test_a_file_appears_only_with_an_answer(
    tenfold: Invoke, refused: Refused, run: Run, photos: Path, here: Path
) -> None:
    assert "gone.png" in refused("predict", "latest", "gone.png", "--out", "out.csv")
    assert not (here / "out.csv").exists()
    outcome = tenfold("predict", "latest", "gone.png", "photos", "--out", "out.csv")
    assert outcome.code == 2
    assert len((here / "out.csv").read_text().splitlines()) == 4
    assert "cannot write photos: a folder lies" in refused(
        "predict", "latest", "photos", "--out", "photos"
    )


def test_an_answer_can_go_to_a_device(tenfold: Invoke, run: Run, photos: Path) -> None:
    assert tenfold("predict", "latest", "photos", "--out", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_top_is_all_classes_where_they_are_few(tenfold: Invoke, refused: Refused, run: Run) -> None:
    line = refused("predict", "latest", "x.png", "--top", "4")
    assert line.endswith("--top 4 is more than the 3 classes of the model; give at most 3")


# --- Names ---------------------------------------------------------------------------------------


def test_the_table_shows_what_a_terminal_would_obey(tenfold: Invoke, here: Path) -> None:
    write_run(here / "run", ["\x1b[31mred", "猫", "x" * 40])
    write_files(here / "photos", {"new\nline \x1b[1m.png": RED})
    lines = tenfold("predict", "run", "photos").out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("\\x1b[31mred ")
    assert lines[1].endswith("photos/new\\nline \\x1b[1m.png")
    assert " 猫 " + 21 * " " in lines[1]  # which is two columns wide


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_name_that_is_not_utf8_is_escaped(tenfold: Invoke, here: Path, form: list[str]) -> None:
    write_run(here / "run")
    write_files(here / "photos", {os.fsdecode(b"\xff.png"): RED, "2.png": BLUE})
    outcome = tenfold("predict", "run", "photos", *form)
    assert outcome.code == 0
    assert "photos/\\udcff.png" in outcome.out
    if form == ["--json"]:
        path = outcome.json()["predictions"][1]["path"]
        assert os.fsencode(path) == b"photos/\xff.png"


def test_python_gets_the_same_answers(tenfold: Invoke, run: Run, photos: Path) -> None:
    import tenfold as package

    write_files(photos, {"a2.png": b"no"})
    loaded = package.load_run(run.path)
    got = list(loaded.predict_files([photos / "a.png", "photos", "gone.png"], top=1))
    skipped = "not a JPEG, PNG, WebP, BMP or GIF picture, or cut short"
    assert [(one.path, one.top and one.top[0][0], one.problem) for one in got] == [
        (str(photos / "a.png"), "red", None),
        ("photos/a.png", "red", None),
        ("photos/a2.png", (), skipped),
        ("photos/b.png", "blue", None),
        ("photos/sub/c.png", "green", None),
        ("gone.png", (), "there is no such file or folder; check the path"),
    ]
    (one,) = loaded.predict_files(photos / "a.png")
    assert [name for name, _ in one.top] == ["red", "green", "blue"]
    assert sum(probability for _, probability in one.top) == pytest.approx(1)
    for top in (0, 4):
        with pytest.raises(ValueError, match=f"top must be from 1 to 3.* Received: {top}"):
            loaded.predict_files("photos", top=top)


# --- What goes in --------------------------------------------------------------------------------


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_any_picture_is_decoded_as_for_training(tenfold: Invoke, run: Run, here: Path) -> None:
    rotated = Image.new("RGB", (8, 4), "blue")  # of whose middle square, once upright,
    rotated.paste("red", (0, 0, 4, 4))  # the upper half is red
    exif = Image.Exif()
    exif[0x0112] = 6
    red, blue = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    grey16 = Image.fromarray(np.full((4, 4), 0xFF00, np.uint16))
    write_files(
        here / "photos",
        {
            "animation.gif": encoded(red, "GIF", save_all=True, append_images=[blue]),
            "cmyk.jpg": encoded(red.convert("CMYK"), "JPEG", quality=100),
            "grey.png": encoded(Image.new("L", (4, 4), 200), "PNG"),
            "grey16.png": encoded(grey16, "PNG"),
            "misnamed.png": encoded(blue.resize((64, 64)), "JPEG", quality=100),
            "rotated.png": encoded(rotated, "PNG", exif=exif),
            "transparent.webp": encoded(
                Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "WEBP", lossless=True
            ),
        },
    )
    found = tenfold("predict", "latest", "photos", "--json").json()["predictions"]
    shares = {
        Path(one["path"]).stem: {top["class"]: top["probability"] for top in one["top"]}
        for one in found
    }
    assert shares["animation"]["red"] == pytest.approx(1)
    assert shares["cmyk"]["red"] > 0.95
    for name in ("grey", "grey16", "transparent"):
        assert shares[name] == pytest.approx(dict.fromkeys(("red", "green", "blue"), 1 / 3))
    assert shares["misnamed"]["blue"] > 0.95
    assert shares["rotated"]["red"] == pytest.approx(0.5, abs=0.01)


def test_an_archive_a_pattern_and_a_folder_together(
    tenfold: Invoke, run: Run, photos: Path, here: Path
) -> None:
    with zipfile.ZipFile(here / "more.zip", "w") as archive:
        archive.writestr("deep/down/d.png", GREEN)
        archive.writestr("__MACOSX/deep/down/._d.png", b"-")
    found = tenfold("predict", "latest", "more.zip", "photos/?.png", "photos/sub", "--json").json()
    paths = ["more.zip/deep/down/d.png", "photos/a.png", "photos/b.png", "photos/sub/c.png"]
    assert [one["path"] for one in found["predictions"]] == paths


def test_a_picture_on_standard_input(run: Run, here: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "predict", "latest", "-", "--csv", "--top=1"], input=BLUE, capture_output=True
    )
    assert done.stderr == b""
    assert done.stdout == b"path,class_1,probability_1\r\n-,blue,0.6\r\n"


def test_what_is_named_twice_is_answered_once(tenfold: Invoke, run: Run, photos: Path) -> None:
    outcome = tenfold("predict", "latest", "photos/a.png", "photos", "photos/a.png", "--csv")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 4
    assert outcome.err == (
        "answered once, though named more than once or by their folder: photos/a.png, "
        "photos/a.png\n"
    )


# --- What goes wrong -----------------------------------------------------------------------------


def test_the_rest_is_answered_and_the_exit_code_says_so(
    tenfold: Invoke, run: Run, photos: Path
) -> None:
    write_files(photos, {"a2.png": RED[:40], "empty/notes.txt": b""})
    outcome = tenfold("predict", "latest", "gone.png", "photos", "photos/empty", "--csv")
    assert outcome.code == 2
    assert [line.split(",")[0] for line in outcome.out.splitlines()[1:]] == [
        "photos/a.png",
        "photos/b.png",
        "photos/sub/c.png",
    ]
    lines = outcome.err.splitlines()
    assert lines[0].startswith("answered once")
    assert lines[1] == "skipped gone.png: there is no such file or folder; check the path"
    assert lines[2].startswith("skipped photos/a2.png: ")
    assert lines[3] == "tenfold: 2 of 5 inputs could not be answered; the lines above say why"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("gone.png", "gone.png: there is no such file or folder; check the path"),
        ("empty", "empty: holds no pictures: no file that is JPEG, PNG, WebP, BMP or GIF by its"),
        ("notes.txt", "notes.txt: not a JPEG, PNG, WebP, BMP or GIF picture, or cut short"),
        ("*.png", "*.png: matches no file; check the pattern"),
        ("damaged.zip", "damaged.zip: is damaged or truncated (File is not a zip file); copy or"),
    ],
)
def test_a_path_that_leads_to_no_picture_gives_one_line(
    refused: Refused, run: Run, here: Path, path: str, line: str
) -> None:
    write_files(here, {"empty/x.txt": b"", "notes.txt": b"I am no picture", "damaged.zip": b"-"})
    assert refused("predict", "latest", path).startswith(f"tenfold: {line}")


@pytest.mark.parametrize("first", ["cat.png", "photos", "gone.jpg", "photos/*.png", "all.zip", "-"])
def test_pictures_without_a_run_are_told_how(
    refused: Refused, run: Run, photos: Path, here: Path, first: str
) -> None:
    (here / "cat.png").write_bytes(RED)
    with zipfile.ZipFile(here / "all.zip", "w") as archive:
        archive.writestr("d.png", GREEN)
    for more in ([], ["photos"]):
        line = refused("predict", first, *more)
        assert line == (
            f"tenfold: {first} is not a run; give the run first: tenfold predict latest {first}"
        )


def test_a_run_without_pictures_and_what_is_no_run(refused: Refused, here: Path) -> None:
    assert "there are no runs in runs yet" in refused("predict", "latest", "x.png")
    assert "no run at nowhere" in refused("predict", "nowhere", "x.png")
    write_run(here / "run")
    assert "nothing to predict; name pictures" in refused("predict", "run")
    assert "missing argument 'RUN'" in refused("predict")
    assert "--json and --csv exclude each other" in refused(
        "predict", "run", "x.png", "--json", "--csv"
    )


def test_a_run_without_a_model_gives_one_line(refused: Refused, run: Run, photos: Path) -> None:
    run.onnx_path.unlink()
    assert "has no model.keras: train it again" in refused("predict", "latest", "photos")
    run.onnx_path.write_bytes(b"nonsense")
    assert "runs/colours/model.onnx" in refused("predict", "latest", "photos")


def test_a_model_is_made_once_for_a_run_from_before_there_was_one(
    tenfold: Invoke, here: Path, trained: Trained
) -> None:
    shutil.copytree(trained.run, here / "run")
    (here / "run" / "model.onnx").unlink(missing_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(here / "x.png")
    made = tenfold("predict", "run", "x.png", "--json", "--top", "10")
    assert made.err == "making run/model.onnx from model.keras, once for all\n"
    again = tenfold("predict", "run", "x.png", "--json", "--top", "10")
    assert (again.err, again.out) == ("", made.out)

    import tenfold as package

    expected = package.load_run("run").predict(pixels[np.newaxis])[0]
    got = {top["class"]: top["probability"] for top in made.json()["predictions"][0]["top"]}
    np.testing.assert_allclose([got[str(n)] for n in range(10)], expected, atol=1e-5)


def test_a_reader_that_leaves_early_ends_it_quietly(run: Run, here: Path) -> None:
    write_files(here / "photos", {f"{n:04}.png": RED for n in range(500)})
    process = subprocess.Popen(
        [*COMMAND, "predict", "latest", "photos"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"1st")
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (141, b"")


def test_a_full_disk_gives_one_line(run: Run, photos: Path) -> None:
    for out in ([], ["--out", "/dev/full"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*COMMAND, "predict", "latest", "photos", *out], stdout=full, stderr=subprocess.PIPE
            )
        assert done.returncode == 2
        assert b"the disk is full" in done.stderr
        assert done.stderr.count(b"\n") == 1


# --- Start-up ------------------------------------------------------------------------------------


def test_an_answer_waits_for_nothing_heavy(run: Run, here: Path) -> None:
    (here / "x.jpg").write_bytes(picture((60, 30, 10), "JPEG"))
    heavy = ["tensorflow", "keras", "onnx", "pydantic", "typer", "rich", "PIL", "psutil", "scipy"]
    program = (
        "import sys; from tenfold import cli; code = cli.invoke(['predict', 'latest', 'x.jpg']);"
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "[] 0\n"
    assert "x.jpg" in done.stdout


ARGUMENTS = [
    "run", "x.png", "-", "--", "--json", "--csv", "--top", "3", "0", "-1", "--top=2", "--top=",
    "--out", "-o", "y.csv", "--out=z.json", "-oy", "--help", "-h", "--tpo", "--json=1",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ARGUMENTS), max_size=6))
def test_the_quick_parser_agrees_with_the_full_one(arguments: list[str]) -> None:
    quick = predict_arguments(arguments)
    if quick is None:
        return
    asked: list[dict[str, object]] = []

    def predict(run: str, paths: list[str], **options: object) -> None:
        asked.append({"run": run, "paths": paths, **options})

    from tenfold.cli import _predicting
    from tenfold.cli._tree import tree

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_predicting, "predict", predict)
        tree().main(["predict", *arguments], prog_name="tenfold", standalone_mode=False)
    assert asked == [quick]


def test_the_quick_parser_reads_what_people_write() -> None:
    plain = {"top": None, "json": False, "csv": False, "out": None}
    assert predict_arguments(["latest", "-", "a b"]) == {
        "run": "latest",
        "paths": ["-", "a b"],
        **plain,
    }
    assert predict_arguments(["--top=5", "r", "-o", "x.csv", "--json", "--", "-p.png"]) == {
        "run": "r",
        "paths": ["-p.png"],
        **plain,
        "top": 5,
        "json": True,
        "out": Path("x.csv"),
    }
    for judged in (["--help"], [], ["r", "--top", "x"], ["r", "--top"], ["r", "--tpo", "1"]):
        assert predict_arguments(judged) is None
