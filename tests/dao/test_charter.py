"""Charters: values in the domain's order, bounds that no charter leaves."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.core.strict import ConfigError, hash_model, load_mapping
from daogym.envs.dao.charter import Charter, GovernedParameter

GOVERNED = (
    GovernedParameter("cap_kw", "kW", 0.0, 100.0, 40.0, "clip", "largest power"),
    GovernedParameter("floor_share", "1", 0.1, 0.9, 0.5, "cost", "least stock"),
    GovernedParameter("allowance_eur", "EUR", -5.0, 5.0, 0.0, "revert", "spending a day"),
)


def test_a_silent_charter_keeps_the_initial_values() -> None:
    assert Charter().values(GOVERNED).tolist() == [40.0, 0.5, 0.0]
    assert Charter().values(()).tolist() == []


@hypothesis.given(
    st.dictionaries(st.sampled_from([p.name for p in GOVERNED]), st.floats(-200.0, 200.0))
)
def test_values_are_taken_in_order_or_refused_by_name(parameters: dict[str, float]) -> None:
    charter = Charter(parameters=parameters)
    outside = [
        p.name for p in GOVERNED
        if p.name in parameters and not p.low <= parameters[p.name] <= p.high
    ]  # fmt: skip
    if not outside:
        values = charter.values(GOVERNED)
        assert values.dtype == np.float64
        for value, parameter in zip(values, GOVERNED, strict=True):
            assert value == parameters.get(parameter.name, parameter.initial)
        return
    with pytest.raises(ConfigError) as caught:
        charter.values(GOVERNED)
    assert any(name in str(caught.value) for name in outside)
    assert "is allowed" in str(caught.value)


def test_bounds_themselves_are_allowed() -> None:
    for parameter in GOVERNED:
        for bound in (parameter.low, parameter.high):
            assert bound in Charter(parameters={parameter.name: bound}).values(GOVERNED)


def test_an_unknown_parameter_names_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        Charter(name="cooperative", parameters={"cap_kwh": 5.0}).values(GOVERNED)
    message = str(caught.value)
    assert "cooperative" in message and "parameters.cap_kwh" in message
    assert "did you mean 'cap_kw'" in message
    assert all(p.name in message for p in GOVERNED)


@pytest.mark.parametrize(
    "settings",
    [
        {"parameters": {"cap_kw": "much"}},
        {"parameters": {"cap_kw": float("nan")}},
        {"parameters": {"cap_kw": float("inf")}},
        {"parameters": {"cap_kw": True}},
        {"parameters": [3.0]},
        {"mode": "anarchy"},
        {"paramters": {}},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        load_mapping(settings, Charter, "charter").values(GOVERNED)


def test_charters_that_differ_have_different_hashes() -> None:
    one = hash_model(Charter(parameters={"cap_kw": 5.0, "floor_share": 0.2}))
    same = hash_model(Charter(parameters={"floor_share": 0.2, "cap_kw": 5.0}))
    other = hash_model(Charter(parameters={"cap_kw": 5.5, "floor_share": 0.2}))
    assert one == same != other
