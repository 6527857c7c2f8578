"""Looking ahead to the next proposal finds what is drawn step by step."""

from __future__ import annotations

import numpy as np
import pytest

from daogym.envs.dao.arrivals import LOOK_AHEAD_STEPS, next_arrival
from daogym.envs.dao.ballots import NEVER
from daogym.envs.dao.electorate import ArrivalSettings, ElectorateSettings, draw_electorate

from .ballot_kernels import all_arrivals

pytestmark = pytest.mark.kernel
KEY = np.uint64(77)


@pytest.mark.parametrize("per_step", [0.3, 1.0 / 96.0, 1e-4])
def test_no_arrival_is_missed_and_none_is_made_up(per_step: float) -> None:
    electorate = draw_electorate(
        ElectorateSettings(arrivals=ArrivalSettings(per_step=per_step)), (0.5,)
    )
    drawn = np.zeros(20_000, dtype=np.int64)
    all_arrivals(KEY, electorate.floats, drawn)
    found, step = [], 0
    while step < len(drawn):
        following = next_arrival(KEY, step, electorate.floats)
        assert step <= following <= step + LOOK_AHEAD_STEPS
        if following < len(drawn) and drawn[following] > 0:
            found.append(following)
        # A step that is only one at which to look again has no arrival and lies at the far end.
        elif following < len(drawn):
            assert following == step + LOOK_AHEAD_STEPS
        step = following + 1
    assert found == np.flatnonzero(drawn).tolist()


def test_who_never_proposes_is_never_waited_for() -> None:
    electorate = draw_electorate(ElectorateSettings(arrivals=ArrivalSettings(per_step=0.0)), (0.5,))
    assert next_arrival(KEY, 5, electorate.floats) == NEVER
