"""Holders, delegates and ideal points: exact sums, who may vote, and the same draw everywhere."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from daogym.envs.core.strict import ConfigError, load_mapping
from daogym.envs.dao.electorate import (
    NAMED,
    Electorate,
    ElectorateSettings,
    OpinionSettings,
    TurnoutSettings,
    draw_electorate,
    zipf_holdings,
)
from daogym.envs.dao.electorate_layout import (
    I_BY_WEIGHT,
    I_DELEGATES,
    I_IDEALS,
    I_TIER_BEGINS,
    I_VOTERS,
    I_WEIGHTS,
)
from daogym.envs.dao.electorate_study import REAL_QUANTILES, REAL_SHARES, rehearse

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
CENTRES = (0.5, 0.2, 0.8)
QUORUM_SHARE = 0.02
SMALLEST_P = 1e-3

# Holdings, roles and ideal points of the named electorates. A change of settings or of drawing
# alters them and so every trajectory under them: then ids need new versions.
GOLDEN = {
    "calibrated": "c33a5c5eb3a8d3c8",
    "contested": "751179a15f2fd401",
}


def digest(electorate: Electorate) -> str:
    """Digest of everything kernels read."""
    return hashlib.sha256(electorate.ints.tobytes() + electorate.floats.tobytes()).hexdigest()[:16]


def changed(base: ElectorateSettings, **update: Any) -> ElectorateSettings:
    """Settings with some top-level values replaced, validated again."""
    return ElectorateSettings.model_validate({**dict(base), **update})


@settings(max_examples=30)
@given(st.integers(1000, 16_000), st.integers(10**8, 2**31 - 1), st.floats(1.0, 1.8))
def test_holdings_are_zipf_and_sum_to_the_supply(
    holders: int, supply: int, exponent: float
) -> None:
    holdings = zipf_holdings(holders, supply, exponent)
    assert holdings.shape == (holders,) and int(holdings.sum()) == supply
    assert np.all(np.diff(holdings) <= 0) and holdings[-1] >= 1
    exact = np.arange(1, holders + 1, dtype=np.float64) ** -exponent
    exact *= supply / exact.sum()
    assert np.all(np.abs(holdings - exact) < 1.0 + 1e-6)


@settings(max_examples=20)
@given(
    st.integers(0, 2**32), st.integers(1000, 3000), st.floats(1.0, 1.8), st.floats(0.3, 0.8),
    st.floats(0.3, 0.9),
)  # fmt: skip
def test_every_vote_belongs_to_one_voter_or_to_the_silent(
    seed: int, holders: int, exponent: float, silent_supply: float, delegating: float
) -> None:
    chosen = ElectorateSettings(
        seed=seed, holders=holders, zipf_exponent=exponent, silent_supply=silent_supply,
        delegating=delegating,
    )  # fmt: skip
    try:
        e = draw_electorate(chosen, CENTRES)
    except ValueError as error:
        assert "delegates" in str(error)
        return
    assert int(e.weights.sum()) + int(e.holdings[e.silent].sum()) == chosen.supply
    gathered = dict.fromkeys(range(len(e.weights)), 0)
    for rank in range(holders):
        assert (e.delegate[rank] < 0) == e.silent[rank]
        if not e.silent[rank]:
            gathered[int(e.delegate[rank])] += int(e.holdings[rank])
    assert list(gathered.values()) == e.weights.tolist()
    assert np.array_equal(e.delegate[e.holder], np.arange(len(e.weights)))
    # only delegates vote with others' tokens, and none with more than the largest may
    own = e.holdings[e.holder]
    assert np.array_equal(e.weights[chosen.delegates :], own[chosen.delegates :])
    assert np.all(np.diff(e.weights[: chosen.delegates]) <= 0)
    assert e.weights.max() <= e.weights[0] / 0.8


@pytest.mark.parametrize("name", NAMED)
def test_who_is_silent_and_what_delegates_gather(name: str) -> None:
    s = NAMED[name]
    e = draw_electorate(s, CENTRES)
    assert s.silent_supply - 0.002 <= e.holdings[e.silent].sum() / s.supply <= s.silent_supply
    places = np.arange(1, s.delegates + 1) + s.delegate_offset
    aimed = places**-s.delegate_exponent
    aimed *= s.delegate_supply * s.supply / aimed.sum()
    assert np.allclose(e.weights[: s.delegates], aimed, rtol=0.05)
    p = e.participation
    assert p[0] == pytest.approx(min(s.turnout.first_delegate * s.turnout.factor, 1.0))
    assert p[s.delegates - 1] == pytest.approx(s.turnout.last_delegate * s.turnout.factor)
    assert np.all(np.diff(p[: s.delegates]) < 0)


def test_the_packed_vectors_hold_the_arrays() -> None:
    e = draw_electorate(NAMED["contested"], CENTRES)
    voters = int(e.ints[I_VOTERS])
    assert voters == len(e.weights) and e.ints[I_DELEGATES] == 14

    def part(index: int, source: Any, n: int) -> Any:
        return source[e.ints[index] : e.ints[index] + n]

    assert np.array_equal(part(I_WEIGHTS, e.ints, voters), e.weights)
    assert np.array_equal(part(I_IDEALS, e.floats, 3 * voters), e.ideals.reshape(-1))
    order = part(I_BY_WEIGHT, e.ints, voters)
    assert np.array_equal(np.sort(order), np.arange(voters))
    assert np.all(np.diff(e.weights[order]) <= 0)
    begins = part(I_TIER_BEGINS, e.ints, 4)
    assert begins[0] == 14 and begins[3] == voters and np.all(np.diff(begins) > 0)


def test_ideal_points_have_their_centre_and_spread() -> None:
    opinions = OpinionSettings(spread=0.1)
    e = draw_electorate(ElectorateSettings(opinions=opinions), CENTRES)
    for ideals, centre in zip(e.ideals, CENTRES, strict=True):
        assert scipy.stats.kstest((ideals - centre) / 0.1, "norm").pvalue > SMALLEST_P
    assert abs(np.corrcoef(e.ideals)[0, 1]) < 0.15


@pytest.mark.parametrize("seed", range(5))
def test_camps_stand_apart_and_about_equal(seed: int) -> None:
    s = changed(NAMED["contested"], seed=seed)
    e = draw_electorate(s, CENTRES)
    assert set(e.camp.tolist()) == {-1, 1}
    expected = e.weights * e.participation
    assert abs((expected * e.camp).sum()) < 0.1 * expected.sum()
    for p, side in enumerate((1, -1, 1)):
        distance = e.ideals[p, e.camp == 1].mean() - e.ideals[p, e.camp == -1].mean()
        assert side * distance == pytest.approx(2 * s.opinions.polarisation, abs=0.05)
    assert set(draw_electorate(NAMED["calibrated"], CENTRES).camp.tolist()) == {0}


@pytest.mark.parametrize("name", NAMED)
def test_the_draw_is_the_same_everywhere(name: str) -> None:
    assert digest(draw_electorate(NAMED[name], (0.5, 0.5))) == GOLDEN[name]
    other = changed(NAMED[name], seed=1)
    assert digest(draw_electorate(other, (0.5, 0.5))) != GOLDEN[name]


def test_another_process_draws_the_same() -> None:
    code = (
        "import hashlib\n"
        "from daogym.envs.dao.electorate import NAMED, draw_electorate\n"
        "e = draw_electorate(NAMED['contested'], (0.5, 0.2, 0.8))\n"
        "print(hashlib.sha256(e.ints.tobytes() + e.floats.tobytes()).hexdigest()[:16])\n"
    )
    run = [sys.executable, "-P", "-c", code]
    other = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    assert other == digest(draw_electorate(NAMED["contested"], CENTRES))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"holders": 64}, "holders"),
        ({"supply": 2**31}, "supply"),
        ({"zipf_exponent": 2.5}, "zipf_exponent"),
        ({"silent_supply": 0.97}, "silent_supply + delegate_supply"),
        ({"timing": {"early_share": 0.7, "late_share": 0.7}}, "early_share + late_share"),
        ({"turnout": {"occasionall": 0.1}}, "did you mean 'occasional'"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("+", r"\+")):
        load_mapping(given, ElectorateSettings)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"delegating": 0.0}, "raise delegating"),
        ({"delegates": 200, "delegate_supply": 0.0001}, "raise delegate_supply"),
    ],
)
def test_delegates_that_cannot_be_are_refused(update: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw_electorate(ElectorateSettings(**update), CENTRES)


@pytest.mark.parametrize("centres", [(), (0.5, 1.2), (float("nan"),)])
def test_centres_are_shares(centres: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        draw_electorate(ElectorateSettings(), centres)


# --- calibration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_medians_are_inside_the_real_range(seed: int) -> None:
    s = changed(NAMED["calibrated"], seed=seed)
    study = rehearse(draw_electorate(s, (0.5,) * 4), seed, 1000)
    for name, (_, median, _) in study.quantiles().items():
        low, middle, high = REAL_QUANTILES[name]
        assert low <= median <= high, name
        assert 0.85 * middle <= median <= 1.15 * middle, name
    mean_shares = study.shares()[:, : len(REAL_SHARES)].mean(axis=0)
    assert np.abs(mean_shares - REAL_SHARES).max() < 0.025


def test_agreed_proposals_are_nearly_unanimous() -> None:
    shares = []
    for seed in range(4):
        s = changed(NAMED["calibrated"], seed=seed)
        study = rehearse(draw_electorate(s, (0.5,) * 4), seed, 1000)
        shares.append(float((study.for_share() > 0.99).mean()))
        quorum = int(QUORUM_SHARE * s.supply)
        assert study.passed(quorum).mean() > 0.9
    assert np.mean(shares) == pytest.approx(0.98, abs=0.015)
    assert min(shares) > 0.94


def test_without_the_forum_the_same_members_disagree() -> None:
    s = NAMED["calibrated"]
    arrivals = s.arrivals.model_copy(update={"temperature_check": 0.0})
    study = rehearse(draw_electorate(changed(s, arrivals=arrivals), (0.5,) * 4), 0, 1000)
    assert (study.for_share() > 0.99).mean() < 0.95
    assert study.withdrawn == 0


@pytest.mark.parametrize("seed", range(6))
def test_half_of_contested_proposals_pass(seed: int) -> None:
    s = changed(NAMED["contested"], seed=seed)
    study = rehearse(draw_electorate(s, (0.5,) * 4), seed, 1000)
    for quorum in (0, int(QUORUM_SHARE * s.supply)):
        assert 0.4 <= study.passed(quorum).mean() <= 0.7
    assert (study.for_share() > 0.99).mean() < 0.05
    for name, (_, median, _) in study.quantiles().items():
        low, _, high = REAL_QUANTILES[name]
        assert low <= median <= high, name


def test_apathy_lowers_turnout() -> None:
    apathy = ElectorateSettings(turnout=TurnoutSettings(factor=0.25))
    few = rehearse(draw_electorate(apathy, (0.5,)), 0, 300)
    usual = rehearse(draw_electorate(ElectorateSettings(), (0.5,)), 0, 300)
    ratio = few.turnout().mean() / usual.turnout().mean()
    assert ratio == pytest.approx(0.25, abs=0.05)


def test_too_rare_proposals_are_refused() -> None:
    s = NAMED["calibrated"]
    never = s.arrivals.model_copy(update={"per_step": 1.0})
    with pytest.raises(ValueError, match="0 came about"):
        # nobody can ever agree on a change larger than the largest one
        rehearse(draw_electorate(changed(s, arrivals=never), (0.5,)), 0, 1, largest_change=0.001)


# --- the page -------------------------------------------------------------------------------------


def test_the_page_shows_what_the_code_does() -> None:
    path = ROOT / "tools" / "electorate_table.py"
    spec = importlib.util.spec_from_file_location("electorate_table", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (ROOT / "docs" / "electorate.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL))
    made = tool.tables()
    assert set(shown) == set(made)
    for name, table in made.items():
        assert shown[name] == table, f"{name}: run python tools/electorate_table.py"


def test_the_numbers_in_the_prose_are_the_defaults() -> None:
    text = " ".join((ROOT / "docs" / "electorate.md").read_text(encoding="utf-8").split())
    s = ElectorateSettings()
    largest = draw_electorate(s, CENTRES).weights[0] / s.supply
    for words in (
        f"at random up to {s.silent_supply:.0%} of the supply".replace("%", " %"),
        f"exp({s.turnout.interest:g} z)",
        f"independent normals every {s.opinions.circumstances_steps} steps",
        f"unless {s.arrivals.temperature_check:.0%} of the delegates'".replace("%", " %"),
        f"early burst that ends at {s.timing.early_width:.0%} of".replace("%", " %"),
        f"over the last {s.timing.late_width:.0%};".replace("%", " %"),
        f"largest delegate votes with ({largest:.1%} of the supply)".replace("%", " %"),
    ):
        assert words in text, words
    assert (s.timing.early_share, s.timing.late_share) == (0.5, 0.25)
    assert s.arrivals.attempts == 8 and s.arrivals.per_step == 1 / 96
