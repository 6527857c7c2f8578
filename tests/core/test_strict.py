"""Settings: every error names its place, key and value; what is right comes through unchanged."""

from __future__ import annotations

import datetime
import enum
import json
import math
import pickle
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daogym.envs.core.strict import (
    ConfigError,
    KeyProblem,
    StrictModel,
    hash_model,
    load_mapping,
    load_yaml,
    place_of,
)


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Battery(StrictModel):
    kind: Literal["battery"] = "battery"
    capacity_kwh: float = pydantic.Field(5.0, gt=0, le=100)


class Panel(StrictModel):
    kind: Literal["panel"] = "panel"
    rating_kw: float = pydantic.Field(gt=0)


Device = Annotated[Battery | Panel, pydantic.Field(discriminator="kind")]


class Settings(StrictModel):
    name: str
    steps: int = pydantic.Field(96, ge=1)
    price: float | None = None
    band: tuple[float, float] = (0.9, 1.1)
    day: datetime.date | None = None
    clock: str = "13:00"
    folder: Path | None = None
    mode: Literal["fleet", "device"] = "fleet"
    colour: Colour = Colour.RED
    is_on: bool = False
    devices: tuple[Device, ...] = ()
    store: Battery = Battery()
    by_name: dict[str, Battery] = pydantic.Field({})

    @pydantic.model_validator(mode="after")
    def _band_in_order(self) -> Settings:
        if self.band[0] >= self.band[1]:
            raise ValueError("band: low must be below high")
        return self


def _load(folder: Path, text: str, overrides: Sequence[str] = ()) -> Settings:
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path, Settings, overrides)


def _error(folder: Path, text: str, overrides: Sequence[str] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, overrides)
    return str(caught.value).replace(str(folder) + "/", "")


def test_a_full_file(tmp_path: Path) -> None:
    got = _load(
        tmp_path,
        """
name: north
price: 1e-3
band: [0.95, 1]
day: 2024-01-02
clock: 13:00
folder: data/north
colour: green
is_on: true
devices:
  - {kind: panel, rating_kw: 3}
  - &big
    kind: battery
    capacity_kwh: 50
  - *big
by_name: {no: {capacity_kwh: 0x10}}
""",
    )
    assert got == Settings(
        name="north", price=0.001, band=(0.95, 1.0), day=datetime.date(2024, 1, 2),
        clock="13:00", folder=Path("data/north"), colour=Colour.GREEN, is_on=True,
        devices=(Panel(rating_kw=3.0), Battery(capacity_kwh=50.0), Battery(capacity_kwh=50.0)),
        by_name={"no": Battery(capacity_kwh=16.0)},
    )  # fmt: skip
    assert isinstance(got.band[1], float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\nstore:\n  capacity_kw: 3\n",
            "grid.yaml:3: store.capacity_kw: unknown key, did you mean 'capacity_kwh'? "
            "Valid keys: capacity_kwh, kind (value 3)",
        ),
        (
            "name: x\nzzz: {a: 1}\n",
            "grid.yaml:2: zzz: unknown key. Valid keys: band, by_name, clock, colour, day, "
            "devices, folder, is_on, mode, name, price, steps, store (value a mapping with keys a)",
        ),
        ("nmae: x\n", "grid.yaml:1: nmae: unknown key, did you mean 'name'?"),
        ("steps: 3\n", "grid.yaml:1: name: this key is missing"),
        ("", "grid.yaml: name: this key is missing"),
        ("name: 3", "grid.yaml:1: name: expected a valid string, got 3"),
        ("name: x\nsteps: '3'", "grid.yaml:2: steps: expected a whole number, got '3'"),
        ("name: x\nsteps: 1.5", "grid.yaml:2: steps: expected a whole number, got 1.5"),
        ("name: x\nsteps: true", "grid.yaml:2: steps: expected a whole number, got True"),
        ("name: x\nsteps: 0", "grid.yaml:2: steps: expected a number >= 1, got 0"),
        (
            "name: x\nstore:\n\n  capacity_kwh: 300",
            "grid.yaml:4: store.capacity_kwh: expected a number > 0 and <= 100, got 300",
        ),
        (
            "name: x\nstore: {capacity_kwh: .nan}",
            "grid.yaml:2: store.capacity_kwh: expected a finite number, got nan",
        ),
        (
            "name: x\nstore: {capacity_kwh: '5'}",
            "grid.yaml:2: store.capacity_kwh: expected a valid number, got '5'",
        ),
        ("name: x\nstore: 3", "grid.yaml:2: store: expected a mapping of keys, got 3"),
        ("name: x\nstore:", "grid.yaml:2: store: expected a mapping of keys, got nothing (null)"),
        ("name: x\nis_on: 1", "grid.yaml:2: is_on: expected a valid boolean, got 1"),
        ("name: x\nis_on: yes", "grid.yaml:2: is_on: expected a valid boolean, got 'yes'"),
        (
            "name: x\nmode: flet",
            "grid.yaml:2: mode: expected 'fleet' or 'device', got 'flet'; did you mean 'fleet'?",
        ),
        ("name: x\ncolour: blue", "grid.yaml:2: colour: expected 'red' or 'green', got 'blue'"),
        ("name: x\nband: [0.9]", "grid.yaml:2: band: item 1 is missing, got [0.9]"),
        ("name: x\nband:\n- 0.9\n- high", "grid.yaml:4: band.1: expected a valid number, got 'hi"),
        ("name: x\nband: [1, 0]", "grid.yaml:1: band: low must be below high (got a mapping with"),
        (
            "name: x\ndevices:\n- kind: panel\n  rating_kw: -1",
            "grid.yaml:4: devices.0.rating_kw: expected a number > 0, got -1",
        ),
        (
            "name: x\ndevices:\n- kind: battery\n- kind: panel\n  rating: 1",
            "grid.yaml:5: devices.1.rating: unknown key, did you mean 'rating_kw'? "
            "Valid keys: kind, rating_kw",
        ),
        (
            "name: x\ndevices:\n- rating_kw: 1\n  kind: panl",
            "grid.yaml:4: devices.0.kind: expected 'battery', 'panel', got 'panl'",
        ),
        (
            "name: x\ndevices:\n- rating_kw: 1",
            "grid.yaml:3: devices.0: key 'kind' is missing, which says what this is",
        ),
        (
            "name: x\nby_name:\n  a:\n    capacity_kWh: 3",
            "grid.yaml:4: by_name.a.capacity_kWh: unknown key, did you mean 'capacity_kwh'?",
        ),
        ("name: x\nsteps: 3\nname: y", "grid.yaml:3: name: this key is written twice"),
        (
            "name: x\nstore:\n  kind: battery\n  'kind': battery",
            "grid.yaml:4: store.kind: this key is written twice",
        ),
        ("name: x\n? [a]\n: 1", "grid.yaml:2: a key must be plain text"),
        ("name: x\n  steps: 3", "grid.yaml:2: is not valid YAML: mapping values are not allowed"),
        ("name: [x", "grid.yaml:1: is not valid YAML: expected ',' or ']'"),
        ("name: x\n---\nname: y", "grid.yaml:2: is not valid YAML: but found another document"),
        ("- a", "grid.yaml:1: a mapping of keys is expected, got ['a']"),
        ("name: !!python/name:os.system x", "grid.yaml:1: name: tag "),
        ("name: x\nstore: !mine {a: 1}", "grid.yaml:2: store: tag !mine is not allowed"),
        ("name: x\nstore: !!set {a}", "grid.yaml:2: store: tag tag:yaml.org,2002:set is not"),
        ("name: " + "[" * 100 + "]" * 100, "grid.yaml:1: is nested too deeply"),
        ('name: "\\ud83d"', "grid.yaml:1: name: holds half a surrogate pair"),
        ("name: \x07", "grid.yaml: is not valid YAML: unacceptable character"),
        ("name: x\nday: soon", "grid.yaml:2: day: expected a valid date in the format YYYY-MM-DD"),
        ("a: &a [*a]", "grid.yaml:1: a.0: aliases make this endless"),
        ("name: " + "[" * 5000, "grid.yaml: is nested too deeply"),
    ],
)
def test_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    assert _error(tmp_path, text).startswith(message)


def test_misspelt_key_is_told_before_the_key_it_leaves_missing(tmp_path: Path) -> None:
    text = "devices: [{kind: panel}]\nsteps: no\nnmae: x\n"
    assert _error(tmp_path, text).startswith("grid.yaml:3: nmae: unknown key")
    # without it, errors come in reading order
    text = "name: x\nmode: quick\nsteps: no\n"
    assert _error(tmp_path, text).startswith("grid.yaml:2: mode")


def test_a_short_file_cannot_stand_for_a_huge_tree(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "endless or too large" in _error(tmp_path, "\n".join(lines))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_yaml(tmp_path / "none.yaml", Settings)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path, Settings)
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: is not UTF-8 text"):
        load_yaml(tmp_path / "latin.yaml", Settings)


def test_overrides(tmp_path: Path) -> None:
    text = "name: x\ndevices: [{kind: battery}, {kind: panel, rating_kw: 1}]\n"
    got = _load(
        tmp_path, text,
        [
            "store.capacity_kwh=7.5", "band=[0.8, 1.2]", "price=1e-3", "name=a=b",
            "devices.1.rating_kw=9", "by_name.new.capacity_kwh=2", "price=4", "clock=07:30",
        ],
    )  # fmt: skip
    assert got.store.capacity_kwh == 7.5
    assert got.band == (0.8, 1.2)
    assert got.price == 4.0, "the later override holds"
    assert got.name == "a=b"
    assert got.devices == (Battery(), Panel(rating_kw=9.0))
    assert got.by_name == {"new": Battery(capacity_kwh=2.0)}
    assert got.clock == "07:30"
    assert _load(tmp_path, "name: x\nprice: 3", ["price=null"]).price is None
    assert _load(tmp_path, "name: x\nstore: 3", ["store={capacity_kwh: 3}"]).store.capacity_kwh == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("store.capacity=3", "store.capacity: unknown key, did you mean 'capacity_kwh'?"),
        ("stor.capacity_kwh=3", "stor: unknown key, did you mean 'store'?"),
        ("steps=no", "steps: expected a whole number, got 'no'"),
        ("steps=", "steps: expected a whole number, got nothing (null)"),
        ("band=[1, x]", "band.1: expected a valid number, got 'x'"),
        ("devices.0.capacity_kwh=-1", "devices.0.capacity_kwh: expected a number > 0 and <= 100"),
        ("devices.1.kind=battery", "devices: is a list of 1 items, counted from 0; it has no '1'"),
        ("devices.x=1", "devices: is a list of 1 items, counted from 0; it has no 'x'"),
        ("name.first=1", "name: is 'x', which has no key 'first'"),
        ("steps", "key.path=value is expected"),
        ("=3", "key.path=value is expected"),
        ("store..kind=3", "key.path=value is expected"),
        ("band=[1, 2", "is not valid YAML"),
        ("store={kind: battery, kind: battery}", "kind: this key is written twice"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, message: str) -> None:
    text = "name: x\nsteps: 4\ndevices: [{kind: battery}]\n"
    got = _error(tmp_path, text, [override])
    assert got.startswith(f"on the command line, {override!r}: {message}")


def test_an_error_in_the_file_stays_the_files(tmp_path: Path) -> None:
    text = "name: x\nstore:\n  capacity_kwh: -1\n"
    assert _error(tmp_path, text, ["steps=3"]).startswith("grid.yaml:3: store.capacity_kwh")
    assert _load(tmp_path, text, ["store.capacity_kwh=1"]).store.capacity_kwh == 1.0


def test_mapping(tmp_path: Path) -> None:
    got = load_mapping(
        {
            "name": "x", "steps": np.int64(4), "band": np.array([0.5, 1.5]), "price": 3,
            "store": Battery(capacity_kwh=3.0), "day": datetime.date(2024, 1, 2),
            "folder": tmp_path, "colour": Colour.GREEN, "devices": [{"kind": "battery"}],
        },
        Settings, overrides=["steps=5"],
    )  # fmt: skip
    assert got.steps == 5 and got.band == (0.5, 1.5) and got.folder == tmp_path
    assert got.store == Battery(capacity_kwh=3.0) and got.colour is Colour.GREEN
    bad: list[tuple[Any, str]] = [
        ({"name": "x", "step": 4}, "energy scenario: step: unknown key, did you mean 'steps'?"),
        ({"name": "x", "price": math.inf}, "energy scenario: price: expected a finite number"),
        ({"name": object()}, "energy scenario: holds a value that is not plain data"),
        ({1: 2}, "energy scenario: 1: unknown key"),
        ([1], r"energy scenario: a mapping of keys is expected, got \[1\]"),
    ]
    for mapping, message in bad:
        with pytest.raises(ConfigError, match=message):
            load_mapping(mapping, Settings, "energy scenario")


def test_the_callers_mapping_is_left_alone() -> None:
    mapping: dict[str, Any] = {"name": "x", "store": {"capacity_kwh": 3}}
    load_mapping(mapping, Settings, overrides=["store.capacity_kwh=4"])
    assert mapping == {"name": "x", "store": {"capacity_kwh": 3}}


def test_error_survives_pickling() -> None:
    error = ConfigError("a.yaml:3", "b.c", "is wrong")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "a.yaml:3: b.c: is wrong" and again.key == "b.c"
    assert isinstance(again, ValueError)


def test_models_in_python_are_strict_and_frozen() -> None:
    with pytest.raises(pydantic.ValidationError, match="valid number"):
        Battery(capacity_kwh="5")  # type: ignore[arg-type]
    with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
        Battery(capacity=5.0)  # type: ignore[call-arg]
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Battery().capacity_kwh = 4.0  # type: ignore[misc]

    class WrongDefault(StrictModel):
        rating_kw: float = pydantic.Field(-1.0, gt=0)

    with pytest.raises(pydantic.ValidationError, match="greater than 0"):
        WrongDefault()


finite = st.floats(allow_nan=False, allow_infinity=False)


def _plain(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | finite | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=12,
    )


# PyYAML's writer does not escape some control characters, such as NEL
printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)


class Anything(StrictModel):
    value: Any


@given(_plain(st.text(max_size=8)))
def test_whatever_json_says_comes_back(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """JSON is YAML: an independent writer, and no value changes its type on the way."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps({"value": data}), encoding="utf-8")
    got = load_yaml(path, Anything).value
    assert got == data and repr(got) == repr(data)
    override = f"value={json.dumps(data)}"
    assert load_mapping({"value": 0}, Anything, overrides=[override]).value == data


@given(_plain(printable))
def test_whatever_pyyaml_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump({"value": data}, allow_unicode=True), encoding="utf-8")
    assert load_yaml(path, Anything).value == data


@given(st.text(max_size=60))
def test_any_text_gives_a_model_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_yaml(path, Settings)
    except ConfigError as error:
        assert str(error)
    try:
        load_mapping({"name": "x"}, Settings, overrides=[text])
    except ConfigError as error:
        assert str(error).startswith(("on the command line", "settings"))


@given(st.sampled_from(sorted(Settings.model_fields)), st.data())
def test_one_slip_in_a_key_finds_the_key(key: str, data: st.DataObject) -> None:
    """Drop a letter of any key (of four letters or more): the error names that key."""
    if len(key) < 4:
        return
    place = data.draw(st.integers(0, len(key) - 1))
    wrong = key[:place] + key[place + 1 :]
    with pytest.raises(ConfigError) as caught:
        load_mapping({"name": "x", wrong: 1}, Settings)
    assert f"{wrong}: unknown key, did you mean {key!r}?" in str(caught.value)


def test_hash_names_the_settings() -> None:
    base = Settings(name="x", price=1.0)
    assert hash_model(base) == hash_model(load_mapping({"price": 1, "name": "x"}, Settings))
    assert hash_model(Battery()) == hash_model(Battery(capacity_kwh=5.0)), "defaults count too"
    zero = Settings(name="x", price=0.0)
    assert hash_model(zero) == hash_model(Settings(name="x", price=-0.0))
    others = [
        Settings(name="y", price=1.0),
        Settings(name="x", price=math.nextafter(1.0, 2.0)),
        Settings(name="x"),
        Settings(name="x", price=1.0, devices=(Battery(),)),
        Settings(name="x", price=1.0, day=datetime.date(2024, 1, 1)),
    ]
    assert len({hash_model(model) for model in (base, *others)}) == 6


def test_hash_is_that_of_the_canonical_json() -> None:
    """Recomputed by another program: sorted keys, no blanks, shortest exact decimals."""
    text = '{"capacity_kwh":0.1,"kind":"battery"}'
    run = subprocess.run(["sha256sum"], input=text, capture_output=True, text=True, check=True)
    assert hash_model(Battery(capacity_kwh=0.1)) == run.stdout.split()[0]


@given(finite, finite)
def test_hashes_agree_exactly_when_values_do(a: float, b: float) -> None:
    first, second = (hash_model(Settings(name="x", price=price)) for price in (a, b))
    assert (first == second) == (a == b)


def test_field_docs_reach_the_schema() -> None:
    class Documented(StrictModel):
        rating_kw: float = 1.0
        """Rated power, kW."""

    schema = Documented.model_json_schema()
    assert schema["properties"]["rating_kw"]["description"] == "Rated power, kW."


# --- places and problems of single keys -----------------------------------------------------------


class Limits(StrictModel):
    low: float = 0.0
    high: float = 1.0

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Limits:
        if self.low > self.high:
            raise KeyProblem("low", f"at most high = {self.high} expected, got {self.low}")
        return self


class Plant(StrictModel):
    limits: Limits = Limits()
    spare: tuple[Limits, ...] = ()
    by_name: dict[str, Limits] = pydantic.Field({})


PLANT = """
limits:
  high: 5
  low: 2
spare:
  - {high: 3}
  - low: 0.5
by_name:
  north:
    high: 4
"""


def test_a_problem_of_several_keys_points_at_the_one_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    for old, new, line, key in (
        ("low: 2", "low: 7", 4, "limits.low"),
        ("low: 0.5", "low: 1.5", 7, "spare.1.low"),
        ("high: 4", "high: -4", 9, "by_name.north.low"),  # the key itself is not there
    ):
        path.write_text(PLANT.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_yaml(path, Plant)
        assert str(caught.value).startswith(f"{path}:{line}: {key}: at most high = ")


def test_models_know_where_they_were_read(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(PLANT, encoding="utf-8")
    plant = load_yaml(path, Plant, ["spare.0.low=1"])
    assert place_of(plant, "limits", "low") == f"{path}:4"
    assert place_of(plant.limits, "low") == place_of(plant, "limits", "low")
    assert place_of(plant.spare[1], "low") == f"{path}:7"
    assert place_of(plant.spare[1], "high") == f"{path}:7"  # a default: the nearest that is there
    assert "command line" in str(place_of(plant.spare[0], "low"))
    assert place_of(plant.by_name["north"], "high") == f"{path}:10"
    assert place_of(plant, "nothing") == f"{path}:2"
    # neither equality nor hash nor data know of it, and what was made here has no place
    made = Plant.model_validate(plant.model_dump())
    assert made == plant and hash_model(made) == hash_model(plant)
    assert place_of(made, "limits") is None and place_of(plant.model_copy()) is None
    assert place_of(load_mapping({"limits": {"low": 0.5}}, Plant, "here"), "limits") == "here"


def test_places_go_with_their_models(tmp_path: Path) -> None:
    from daogym.envs.core import strict

    path = tmp_path / "plant.yaml"
    path.write_text(PLANT, encoding="utf-8")
    plant = load_yaml(path, Plant)
    known = len(strict._PLACES)
    del plant
    assert len(strict._PLACES) == known - 5
