"""Recipes: written and read back, changed by overrides, and refused in words that help."""

import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tenfold.errors import RecipeError
from tenfold.recipe import Recipe, load_recipe, shipped


def refusal(*overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe("lab-2", overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sections() -> dict[str, type[BaseModel]]:
    annotations = {name: field.annotation for name, field in Recipe.model_fields.items()}
    return {name: a for name, a in annotations.items() if hasattr(a, "model_fields")}


ALL_KEYS = [f"{section}.{key}" for section, a in sections().items() for key in a.model_fields]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_round_trips_and_bears_the_name_of_its_file(name: str, tmp_path: Path):
    recipe = load_recipe(name)
    (tmp_path / "copy.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(tmp_path / "copy.toml") == recipe
    assert recipe.name == name
    assert recipe.description


def test_the_recipes_of_the_lab_are_shipped():
    assert {"lab-1", "lab-2", "lab-1-original", "lab-2-original"} <= shipped().keys()
    assert list(shipped()) == sorted(shipped())


def test_every_setting_is_written_out():
    written = tomllib.loads(load_recipe("lab-1").to_toml())
    optional = {"data.size", "data.rows", "data.test_rows"}
    optional |= {"optimizer.clip_norm", "training.early_stopping"}
    optional |= {"training.steps", "schedule.plans", "training.small_size"}
    found = {f"{s}.{key}" for s, table in written.items() if s in sections() for key in table}
    assert found == set(ALL_KEYS) - optional


def test_a_recipe_without_a_name_is_called_after_its_file(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("[training]\nepochs = 3\n")
    recipe = load_recipe(tmp_path / "mine.toml")
    assert (recipe.name, recipe.training.epochs) == ("mine", 3)


def test_what_a_recipe_leaves_out_has_its_default(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("")
    assert load_recipe(tmp_path / "mine.toml") == Recipe(name="mine")


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.epochs=3", "training", "epochs", 3),
        ("optimizer.learning_rate=1e-2", "optimizer", "learning_rate", 0.01),
        ("optimizer.learning_rate=1", "optimizer", "learning_rate", 1.0),
        ("training.shuffle=false", "training", "shuffle", False),
        ("model.name=lab-1", "model", "name", "lab-1"),
        ('model.name="lab-1"', "model", "name", "lab-1"),
        ("model.name=a=b", "model", "name", "a=b"),
        (" optimizer . name = sgd ", "optimizer", "name", "sgd"),
        ("optimizer.clip_norm=1.5", "optimizer", "clip_norm", 1.5),
    ],
)
def test_an_override_sets_a_value_of_its_type(override: str, section: str, key: str, value: object):
    set_to = getattr(getattr(load_recipe("lab-2", [override]), section), key)
    assert set_to == value
    assert type(set_to) is type(value)


def test_an_override_may_name_a_top_level_setting():
    assert load_recipe("lab-1", ["seed=7"]).seed == 7


@pytest.mark.parametrize("none", ["none", "None", " NONE "])
def test_none_clears_an_optional_setting(none: str):
    limited = load_recipe("lab-2-original")
    assert limited.data.rows == 7000
    assert limited.overridden([f"data.rows={none}"]).data.rows is None


def test_of_two_overrides_of_one_setting_the_last_counts():
    assert load_recipe("lab-1", ["seed=1", "seed=2"]).seed == 2


def test_an_override_leaves_the_other_settings_alone():
    plain = load_recipe("lab-2")
    changed = load_recipe("lab-2", ["optimizer.learning_rate=0.5"])
    assert changed.optimizer.learning_rate == 0.5
    back = f"optimizer.learning_rate={plain.optimizer.learning_rate}"
    assert changed.overridden([back]) == plain


@pytest.mark.parametrize("override", ["", "x", "=1", ".=1", "a.b.c=1", "training.=3", ".epochs=3"])
def test_a_malformed_override_is_answered_with_an_example(override: str):
    assert "write it like --set optimizer.learning_rate=0.01" in refusal(override)


@pytest.mark.parametrize(
    ("override", "key", "rule", "received"),
    [
        ("training.epochs=0", "training.epochs", "at least 1", "0"),
        ("training.batch_size=65537", "training.batch_size", "at most 65536", "65537"),
        ("seed=2147483648", "seed", "at most 2147483647", "2147483648"),
        ("seed=-1", "seed", "at least 0", "-1"),
        ("augmentation.rotation=180.5", "augmentation.rotation", "at most 180", "180.5"),
        ("augmentation.zoom=1", "augmentation.zoom", "below 1", "1"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate", "above 0", "0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate", "finite", "nan"),
        ("augmentation.mixup=inf", "augmentation.mixup", "finite", "inf"),
        ("augmentation.cutout=nan", "augmentation.cutout", "at most 1", "nan"),
        ("data.rows=0", "data.rows", "at least 1", "0"),
        ("data.size=2.5", "data.size", "a whole number", "2.5"),
        ("training.epochs=none", "training.epochs", "a whole number", "none"),
        ("training.epochs=true", "training.epochs", "a whole number", "true"),
        ("training.epochs='5'", "training.epochs", "a whole number", "'5'"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate", "a number", "'fast'"),
        ("training.shuffle=1", "training.shuffle", "true or false", "1"),
        ("model.name=3", "model.name", "text", "3"),
        ("schedule.name=cos", "schedule.name", "'constant', 'cosine',", "'cos'"),
        ("model=lab-1", "model", "a section", "'lab-1'"),
        ("training.epochs=3\ntraining.x=1", "training.epochs", "a whole number", "'3"),
    ],
)
def test_a_value_out_of_range_names_key_rule_and_value(
    override: str, key: str, rule: str, received: str
):
    line = refusal(override)
    assert line.startswith(f"recipe lab-2: {key} ")
    assert rule in line.partition("Received:")[0]
    assert line.partition("Received: ")[2].startswith(received)


def test_all_problems_are_named_at_once():
    line = refusal("training.epochs=0", "optimizer.lr=1")
    assert "training.epochs" in line
    assert "did you mean 'optimizer.learning_rate'" in line


def test_a_long_value_is_shortened():
    assert len(refusal("training.epochs=" + "x" * 10_000)) < 200


@pytest.mark.parametrize("key", ["rows", "optimiser.learning_rate", "optimizer.lr"])
def test_an_unknown_setting_is_refused(key: str):
    assert refusal(f"{key}=1").startswith("recipe lab-2: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3", "unknown setting 'epochs' (did you mean 'training.epochs'?)"),
        ("[training]\nepoch = 3", "'training.epoch' (did you mean 'training.epochs'?)"),
        ("[trainer]\nepochs = 3", "unknown setting 'trainer'"),
        ("[training\n", "is not valid TOML"),
        ("x = " + "[" * 10_000, "is not valid TOML"),
        ("model = 3", "model is a section"),
        ("[[model]]\nname = 'lab-1'", "model is a section"),
        ("seed = 1979-05-27", "seed must be a whole number"),
    ],
)
def test_a_wrong_file_gives_one_line(text: str, message: str, tmp_path: Path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_gives_one_line(tmp_path: Path):
    (tmp_path / "wrong.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not valid TOML"):
        load_recipe(tmp_path / "wrong.toml")


def test_an_unknown_recipe_is_answered_with_those_there_are():
    with pytest.raises(RecipeError, match=r"no recipe called 'lab2' \(did you mean 'lab-2'\?\)"):
        load_recipe("lab2")
    with pytest.raises(RecipeError, match=r"there are .*lab-1, .*or give the path"):
        load_recipe("imagenet")
    with pytest.raises(RecipeError, match=r"no recipe file at gone\.toml"):
        load_recipe("gone.toml")


def test_a_setting_is_no_section():
    assert "'name' is a setting, and no section" in refusal("name.of=1")


def test_early_stopping_needs_a_validation_split():
    line = refusal("training.early_stopping=3", "data.validation=0")
    assert "set data.validation above 0" in line


def test_bytes_that_are_no_text_are_refused():
    assert "not UTF-8" in refusal("name=\udcff")


def values_of(field_type: type[BaseModel]) -> st.SearchStrategy[BaseModel]:
    """Any valid section, from its JSON schema, which has the bounds."""
    properties = field_type.model_json_schema()["properties"]
    properties.pop("plans", None)  # each must follow from the one before; they have their own test
    return st.builds(field_type, **{key: _values(schema) for key, schema in properties.items()})


def _values(schema: dict) -> st.SearchStrategy:
    if "anyOf" in schema:
        return st.one_of(*map(_values, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "string":
            return st.text()
        case "integer":
            return st.integers(low, high)
        case "number":
            low = low if above is None else math.nextafter(above, math.inf)
            high = high if below is None else math.nextafter(below, -math.inf)
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
    raise AssertionError(schema)


RECIPES = st.fixed_dictionaries(
    {
        "name": st.text(),
        "description": st.text(),
        "seed": st.integers(0, 2**31 - 1),
        **{name: values_of(section) for name, section in sections().items()},
    }
).filter(lambda r: r["training"].early_stopping is None or r["data"].validation > 0)


@settings(max_examples=40, deadline=None)
@given(RECIPES)
@example({"name": 'a"\n\t\\\x7f\r\u2028', "description": "'''"})
def test_any_recipe_round_trips(tmp_path_factory: pytest.TempPathFactory, values: dict):
    recipe = Recipe(**values)
    path = tmp_path_factory.mktemp("recipe") / "any.toml"
    path.write_bytes(recipe.to_toml().encode())
    assert load_recipe(path) == recipe


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(st.characters()),
        st.builds("{}={}".format, st.sampled_from(ALL_KEYS), st.text(st.characters())),
        st.builds("{}={}".format, st.sampled_from(ALL_KEYS), st.floats() | st.integers()),
        st.builds("{}={}".format, st.sampled_from([*sections(), "seed"]), st.text()),
    )
)
@example("seed=" + "9" * 5000)
@example("optimizer.learning_rate=1" + "0" * 400)
@example("training.epochs=" + "[" * 10_000)
@example("optimizer.clip_norm={a=1}")
@example("data.rows=[1, 2]")
def test_an_override_is_taken_or_refused_in_one_line(override: str):
    try:
        assert isinstance(load_recipe("lab-2", [override]), Recipe)
    except RecipeError as error:
        assert "\n" not in str(error)


def test_a_number_too_long_to_write_is_refused_where_a_word_is_chosen():
    with pytest.raises(RecipeError, match=r"schedule\.name must be .*thousands of digits"):
        load_recipe("lab-2", ["schedule.name=0x" + "f" * 5000])


def test_plans_are_written_down_and_read_back(tmp_path: Path):
    changes = ["training.steps=90", "schedule.plans=[[0, 100], [20, 80], [60, 90]]"]
    recipe = load_recipe("lab-1", changes)
    (tmp_path / "copy.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(tmp_path / "copy.toml") == recipe


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        ("[[0, 100]]", "schedule.plans needs training.steps"),
        ("[[5, 100]]", "schedule.plans begins at step 0"),
        ("[[0, 9], [20, 100]]", "[20, 100] begins before or after the plan [0, 9]"),
        ("[[0, 9], [5, 5]]", "[5, 5] begins before or after the plan [0, 9]"),
        ("[]", "schedule.plans must have at least 1 entries"),
        ("[[0]]", "schedule.plans.0 must have at least 2 entries"),
        ("[[0, -1]]", "schedule.plans.0.1 must be at least 0"),
        ("7", "schedule.plans must be a list"),
    ],
)
def test_plans_that_cannot_be_are_refused(plans: str, message: str):
    steps = [] if "needs" in message else ["training.steps=9"]
    assert message in refusal(*steps, f"schedule.plans={plans}")
