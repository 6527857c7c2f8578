"""Packed blocks with named parts: offsets, views that write through, errors that name the part."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.core.layout import Layout, Part

PARTS = st.lists(
    st.tuples(
        st.sampled_from([(), (0,), (1,), (3,), (2, 2)]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
).map(
    lambda rows: [
        Part(f"part_{i}", shape, integer=integer) for i, (shape, integer) in enumerate(rows)
    ]
)


@hypothesis.given(PARTS)
def test_parts_fill_their_blocks_without_gap_or_overlap(parts: list[Part]) -> None:
    layout = Layout(parts)
    for integer, width in ((False, layout.float_width), (True, layout.integer_width)):
        taken = [
            slot
            for part, offset in zip(parts, layout.offsets.tolist(), strict=True)
            if part.integer == integer
            for slot in range(offset, offset + part.size)
        ]
        assert taken == list(range(width))


@hypothesis.given(PARTS)
def test_what_is_packed_is_what_the_views_show(parts: list[Part]) -> None:
    layout = Layout(parts)
    rng = np.random.default_rng(len(parts))
    values = {part.name: rng.integers(-9, 9, part.shape) for part in parts}
    floats, integers = layout.pack(values)
    assert floats.dtype == np.float64 and integers.dtype == np.int64
    for part in parts:
        view = layout.view(part.name, floats[None, :], integers[None, :])
        assert view.shape == (1, *part.shape)
        assert np.array_equal(view[0], values[part.name])


def test_writing_to_a_view_changes_the_block() -> None:
    layout = Layout([Part("a"), Part("b", (2, 2)), Part("n", (3,), integer=True)])
    floats, integers = np.zeros((4, 5)), np.zeros((4, 3), dtype=np.int64)
    layout.view("b", floats, integers)[2, 1, 0] = 7.0
    layout.view("n", floats, integers)[:, 2] = 5
    layout.view("a", floats, integers)[:] = 1.0
    assert floats[2].tolist() == [1.0, 0.0, 0.0, 7.0, 0.0]
    assert integers[:, 2].tolist() == [5, 5, 5, 5]


def test_errors_name_the_part() -> None:
    with pytest.raises(ValueError, match=r"\['a'\] came twice"):
        Layout([Part("a"), Part("b"), Part("a")])
    layout = Layout([Part("a"), Part("b", (2,))])
    with pytest.raises(KeyError, match="no part 'c'"):
        layout.view("c", np.zeros((1, 3)), np.zeros((1, 0), dtype=np.int64))
    with pytest.raises(ValueError, match=r"missing \['b'\], unknown \['c'\]"):
        layout.pack({"a": 1.0, "c": 2.0})
    with pytest.raises(ValueError, match=r"b: expected shape \(2,\), got \(3,\)"):
        layout.pack({"a": 1.0, "b": np.zeros(3)})


def test_constants_are_compared_with_the_order_of_parts() -> None:
    layout = Layout([Part("a"), Part("b")])
    layout.check_order({"S_A": 5, "S_B": 6}, "S_", 5)
    with pytest.raises(ValueError, match="S_B must be 6, got 7"):
        layout.check_order({"S_A": 5, "S_B": 7}, "S_", 5)
    with pytest.raises(ValueError, match="S_B must be 6, got None"):
        layout.check_order({"S_A": 5}, "S_", 5)
