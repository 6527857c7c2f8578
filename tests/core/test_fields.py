"""Fields: layout, affine map, validation, table and contract."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daogym.envs.core.fields import Field, FieldSet


@pytest.fixture
def fields() -> FieldSet:
    return FieldSet(
        [
            Field("bus_voltage_pu", "pu", 0.8, 1.2, (3,), "voltage | of each bus"),
            Field("price_eur_per_mwh", "EUR/MWh", -500.0, 4000.0, doc="day-ahead price"),
            Field("soc_kwh", "kWh", 0.0, np.array([[5.0, 10.0], [15.0, 20.0]]), (2, 2)),
        ]
    )


def test_layout(fields: FieldSet) -> None:
    assert fields.size == 8
    assert len(fields) == 3
    assert fields.offset("price_eur_per_mwh") == 3
    assert fields.slice("soc_kwh") == slice(4, 8)
    assert fields.names == (
        "bus_voltage_pu[0]", "bus_voltage_pu[1]", "bus_voltage_pu[2]", "price_eur_per_mwh",
        "soc_kwh[0,0]", "soc_kwh[0,1]", "soc_kwh[1,0]", "soc_kwh[1,1]",
    )  # fmt: skip
    assert fields.units == ("pu",) * 3 + ("EUR/MWh",) + ("kWh",) * 4
    np.testing.assert_array_equal(fields.low, [0.8, 0.8, 0.8, -500, 0, 0, 0, 0])
    np.testing.assert_array_equal(fields.high, [1.2, 1.2, 1.2, 4000, 5, 10, 15, 20])
    assert fields["soc_kwh"] is fields[2]
    assert "soc_kwh" in fields and "soc" not in fields


def test_bounds_cannot_be_changed(fields: FieldSet) -> None:
    for array in (fields.low, fields.high, fields[0].low):
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(array)[...] = 0.0


def test_a_bound_given_by_the_caller_is_copied() -> None:
    high = np.array([1.0, 2.0])
    field = Field("x", "1", 0.0, high, (2,))
    high[0] = 9.0
    np.testing.assert_array_equal(field.high, [1.0, 2.0])


def test_affine_map_by_hand(fields: FieldSet) -> None:
    physical = [0.8, 1.0, 1.2, 1750.0, 0.0, 10.0, 3.75, 25.0]
    got = fields.normalise(physical)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [-1, 0, 1, 0, -1, 1, -0.5, 1], atol=1e-7)
    back = fields.denormalise(np.array([[-1, 0, 1, 0, -1, 1, -0.5, 7]], dtype=np.float32))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, [[0.8, 1, 1.2, 1750, 0, 10, 3.75, 20]], rtol=1e-12)


@given(arrays(np.float64, (5, 8), elements=st.floats(-1.0, 1.0)))
def test_round_trip(normalised: Any) -> None:
    fields = FieldSet([Field("a", "1", -3.0, 7.0, (4,)), Field("b", "1", 1e6, 1e6 + 1.0, (4,))])
    physical = fields.denormalise(normalised)
    assert (physical >= fields.low).all() and (physical <= fields.high).all()
    np.testing.assert_allclose(fields.normalise(physical), normalised, atol=1e-6)


@given(arrays(np.float64, 3, elements=st.floats(allow_nan=False)))
def test_normalised_values_never_leave_the_range(physical: Any) -> None:
    fields = FieldSet([Field("x", "1", -1e-3, 5.0, (3,))])
    assert (np.abs(fields.normalise(physical)) <= 1.0).all()


def test_nan_stays_visible(fields: FieldSet) -> None:
    assert np.isnan(fields.normalise(np.full(8, np.nan))).all()


@pytest.mark.parametrize("shape", [(), (7,), (8, 7)])
def test_wrong_width_is_named(fields: FieldSet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"an array \(\.\.\., 8\) is wanted.*got shape"):
        fields.normalise(np.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("SocKwh", "kWh", 0, 1), "field name 'SocKwh': snake_case"),
        (("soc-kwh", "kWh", 0, 1), "snake_case"),
        (("_soc", "kWh", 0, 1), "snake_case"),
        (("soc\n", "kWh", 0, 1), "snake_case"),
        (("soc_kwh", " ", 0, 1), "field soc_kwh: unit is empty"),
        (("soc_kwh", "kWh", 1, 1), "field soc_kwh: low < high is wanted, got low = 1.0"),
        (("soc_kwh", "kWh", 2, 1), "low < high"),
        (("soc_kwh", "kWh", math.nan, 1), "field soc_kwh: low must be finite, got nan"),
        (("soc_kwh", "kWh", 0, math.inf), "high must be finite, got inf"),
        (("soc_kwh", "kWh", 0, np.array([1.0, 0.0]), (2,)), r"field soc_kwh\[1\]: low < high"),
        (("soc_kwh", "kWh", 0, np.ones(3), (2,)), r"high of shape \(3,\) does not fit shape"),
        (("soc_kwh", "kWh", 0, 1, (0,)), "lengths >= 1"),
        (("soc_kwh", "kWh", "0", 1), "low: a number or an array of numbers is wanted, got '0'"),
        (("soc_kwh", "kWh", 0, [[1], [1, 2]]), "high: a number or an array of numbers"),
    ],
)
def test_a_bad_field_is_named(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Field(*arguments)


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="field a is declared twice"):
        FieldSet([Field("a", "1", 0, 1), Field("a", "kW", 0, 1)])


def test_unknown_name_lists_the_names(fields: FieldSet) -> None:
    with pytest.raises(KeyError, match="no field 'soc'; there are: bus_voltage_pu, price"):
        fields.offset("soc")


def test_table(fields: FieldSet) -> None:
    assert fields.table() == (
        "| Name | Shape | Unit | Low | High | Meaning |\n"
        "|---|---|---|---|---|---|\n"
        "| `bus_voltage_pu` | 3 | pu | 0.8 | 1.2 | voltage \\| of each bus |\n"
        "| `price_eur_per_mwh` | scalar | EUR/MWh | -500 | 4000 | day-ahead price |\n"
        "| `soc_kwh` | 2 x 2 | kWh | 0 | 5 to 20 |  |\n"
    )


def test_json_round_trip(fields: FieldSet) -> None:
    text = fields.to_json()
    again = FieldSet.from_json(text)
    assert again == fields and hash(again) == hash(fields)
    assert again.to_json() == text
    assert again.contract_hash() == fields.contract_hash()
    entry = json.loads(text)["fields"][2]
    assert entry["high"] == [[5.0, 10.0], [15.0, 20.0]] and entry["shape"] == [2, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "an object"),
        ('{"fields": [3]}', r"fields\[0\]: keys doc, high, low, name, shape, unit are wanted"),
        ('{"fields": [{"name": "a"}]}', r"fields\[0\]: keys .* are wanted, got name"),
        (
            '{"fields": [{"name":"a","unit":"1","low":1,"high":0,"shape":[],"doc":""}]}',
            "field a: low < high",
        ),
        (
            '{"fields": [{"name":"a","unit":"1","low":"x","high":0,"shape":[],"doc":""}]}',
            "field a: low: a number or an array of numbers is wanted, got 'x'",
        ),
        ('{"fields": [{"name":"a","unit":"1","low":0,"high":1,"shape":3,"doc":""}]}', "fields"),
    ],
)
def test_a_strangers_json_is_checked(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FieldSet.from_json(text)


def test_contract_hash_covers_meaning_but_not_prose(fields: FieldSet) -> None:
    base = [Field("a", "kW", 0.0, 1.0, (2,), "prose"), Field("b", "kW", 0.0, 1.0)]
    expected = FieldSet(base).contract_hash()
    assert FieldSet([Field("a", "kW", 0, np.ones(2), (2,), "other"), base[1]]).contract_hash() == (
        expected
    )
    changed = [
        [base[1], base[0]],
        [Field("a", "W", 0.0, 1.0, (2,)), base[1]],
        [Field("a", "kW", 0.0, 1.0 + 1e-15, (2,)), base[1]],
        [Field("a", "kW", 0.0, 1.0, (1, 2)), base[1]],
        [Field("a", "kW", 0.0, 1.0, (2,)), Field("c", "kW", 0.0, 1.0)],
        base[:1],
    ]
    hashes = {FieldSet(other).contract_hash() for other in changed}
    assert len(hashes) == len(changed) and expected not in hashes


def test_no_fields() -> None:
    empty = FieldSet([])
    assert empty.size == 0 and empty.normalise(np.zeros((2, 0))).shape == (2, 0)
