"""The example domain keeps every promise of the simulator, learns, and is what the page shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import daogym
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.core.simulator import Simulator

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "write_your_own_domain.md"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    """The package `own_domain`, importable as a user's own folder would be."""
    sys.path.insert(0, str(ROOT / "examples"))
    import own_domain

    yield own_domain
    sys.path.remove(str(ROOT / "examples"))


def make(example: ModuleType, num_envs: int, changes: Any = None, **options: Any) -> Simulator:
    """A simulator of the warehouse with some settings changed."""
    scenario = example.WarehouseScenario(**(changes or {}))
    return daogym.make_simulator(example.WarehouseDomain(scenario), num_envs, **options)


def orders_to_actions(orders: Any) -> Any:
    """Units, of at most 60, as normalised actions."""
    return np.asarray(orders, dtype=float)[:, None] / 30.0 - 1.0


def test_goods_and_money_add_up_by_hand(example: ModuleType) -> None:
    """A ledger kept in plain Python from orders and the demand that sales and losses reveal."""
    s = make(example, 5)
    s.reset(seed=3)
    draw = np.random.default_rng(0)
    stock = s.state("stock_units").copy()
    first = stock.copy()
    assert ((stock >= 0) & (stock <= 60)).all()
    shipped: list[Any] = [np.zeros(5)] * 3
    total, lost = np.zeros(5), np.zeros(5)
    for day in range(56):
        wanted = draw.integers(0, 61, 5)
        s.step(orders_to_actions(wanted))
        allowed = np.minimum(wanted, 45)
        shipped.append(allowed)
        stock = stock + shipped[-4]
        sold, missed = s.events[:, 2], s.costs[:, 0]
        assert (sold == np.minimum(sold + missed, stock)).all()
        assert (s.events[:, 0] == (wanted > 45)).all()
        stock = stock - sold
        money = 10.0 * sold - 6.0 * allowed - 0.1 * stock
        if day == 55:
            money += 6.0 * (stock + sum(shipped[-3:]) - first)
        assert s.rewards == pytest.approx(money, abs=1e-9)
        assert s.terms.sum(axis=1) == pytest.approx(s.rewards, abs=1e-9)
        total, lost = total + money, lost + missed
    assert s.terminated.all()
    assert s.episode_reward == pytest.approx(total, rel=1e-12)
    assert s.episode_costs[:, 0] == pytest.approx(lost)
    assert (s.episode_length == 56).all()


def test_demand_is_poisson_with_the_weekdays_means(example: ModuleType) -> None:
    s = make(example, 600, autoreset="disabled")
    s.reset(seed=1, options={"date": "wednesday"})
    factors = s.scenario.weekday_factors
    for day in range(14):
        s.step(orders_to_actions(np.full(600, 45)))
        demand = s.events[:, 2] + s.costs[:, 0]
        mean = 20.0 * factors[(2 + day) % 7]
        assert demand.mean() == pytest.approx(mean, abs=5.0 * np.sqrt(mean / 600))
        assert demand.var() == pytest.approx(mean, rel=0.35)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_is_its_lanes(example: ModuleType, threads: int) -> None:
    many = make(example, 70, threads=threads)
    many.reset(seed=10)
    single = make(example, 1)
    single.reset(seed=10 + 69)
    draw = np.random.default_rng(2)
    for _ in range(120):
        actions = draw.uniform(-1.2, 1.2, (70, 1))
        many.step(actions)
        single.step(actions[69:])
        assert (many.observations[69] == single.observations[0]).all()
        assert many.rewards[69] == single.rewards[0]
        assert (np.abs(many.observations) <= 1.0).all()


def test_a_snapshot_brings_the_same_future_back(example: ModuleType) -> None:
    s = make(example, 3)
    s.reset(seed=4)
    actions = np.random.default_rng(3).uniform(-1, 1, (80, 3, 1))
    for action in actions[:20]:
        s.step(action)
    kept = s.snapshot()
    futures = []
    for _ in range(2):
        s.restore(kept)
        rows = []
        for action in actions[20:]:
            s.step(action)
            rows.append(np.concatenate([s.observations.ravel(), s.rewards]))
        futures.append(np.array(rows))
    assert (futures[0] == futures[1]).all()


def test_gymnasium_makes_one_and_many(example: ModuleType) -> None:
    env = gymnasium.make("own_domain/Warehouse-v0")
    check_env(env.unwrapped, skip_render_check=True)
    vector: Any = gymnasium.make_vec("own_domain/Warehouse-v0", num_envs=8)
    observations, _ = vector.reset(seed=0)
    assert observations.shape == (8, 12)
    for _ in range(60):
        result = vector.step(vector.action_space.sample())
    assert np.isfinite(result[1]).all()


def test_bad_options_and_actions_are_named_or_noted(example: ModuleType) -> None:
    s = make(example, 2)
    with pytest.raises(ValueError, match="got 'someday'"):
        s.reset(seed=0, options={"date": "someday"})
    with pytest.raises(ValueError, match="carry"):
        make(example, 1, carry=True)
    with pytest.raises(ValueError, match="belong to the shipped domains"):
        make(example, 1, split="test")
    s.reset(seed=0)
    s.step([[np.nan], [7.0]])
    assert (s.events[:, 1] == 1.0).all() and np.isfinite(s.rewards).all()


def test_ppo_learns_to_order(example: ModuleType) -> None:
    """A few thousand steps beat ordering at random by far, and any one constant below demand."""
    from stable_baselines3 import PPO

    judge = make(example, 32)

    def earned(act: Any) -> float:
        judge.reset(seed=500)
        total = 0.0
        for _ in range(judge.horizon):
            judge.step(act(judge.observations))
            total += float(judge.rewards.sum())
        return total / 32

    draw = np.random.default_rng(4)
    chance = earned(lambda o: draw.uniform(-1, 1, (len(o), 1)))
    sparse = earned(lambda o: orders_to_actions(np.full(len(o), 15)))
    venv = SB3VecEnv(make(example, 64, stagger=True))
    learner = PPO("MlpPolicy", venv, n_steps=16, batch_size=256, learning_rate=1e-3, gamma=0.97,
                  n_epochs=8, seed=0, device="cpu")  # fmt: skip
    learner.learn(24_000)
    learnt = earned(lambda o: learner.predict(o, deterministic=True)[0])
    assert learnt > max(chance, sparse) + 200.0, (learnt, chance, sparse)


def test_an_edit_beside_a_kernel_is_never_overlooked(tmp_path: Path) -> None:
    """A constant in another file of the user's folder is part of the machine code."""
    (tmp_path / "kernel.py").write_text(
        "from daogym.envs.core.compiled import kernel_entry\n"
        "from constants import STEP\n\n"
        "@kernel_entry()\n"
        "def add(x: int) -> int:\n"
        "    return x + STEP\n"
    )
    said = []
    for step in (1, 2, 2):
        (tmp_path / "constants.py").write_text(f"STEP = {step}\n")
        code = "import kernel; print(kernel.add(10), sum(kernel.add.stats.cache_hits.values()))"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "DAOGYM_CACHE_DIR": str(tmp_path / "cache")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split())
    assert said == [["11", "0"], ["12", "0"], ["12", "1"]]


def blocks() -> list[tuple[str, str]]:
    """(mark, code) of each Python block of the page; the mark is the comment before it."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"(?:<!-- (.*?) -->\n)?```python\n(.*?)```", text, re.DOTALL)


def test_every_block_of_the_page_is_marked() -> None:
    marks = [mark for mark, _ in blocks()]
    assert len(marks) >= 7
    assert all(mark == "run" or (ROOT / mark).is_file() for mark in marks), marks


@pytest.mark.parametrize("number", range(len(blocks())))
def test_the_page_shows_the_files(number: int) -> None:
    mark, code = blocks()[number]
    if mark != "run":
        assert code in (ROOT / mark).read_text(encoding="utf-8")


def test_the_pages_commands_run(example: ModuleType) -> None:
    names: dict[str, Any] = {}
    for mark, code in blocks():
        if mark == "run":
            exec(compile(code, str(PAGE), "exec"), names)


def test_the_example_stands_on_the_core_alone() -> None:
    lines = 0
    for path in (ROOT / "examples" / "own_domain").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        lines += sum(bool(line.strip()) for line in source.splitlines())
        imported = re.findall(r"^(?:from|import) (daogym\S*)", source, re.MULTILINE)
        assert all(name.startswith("daogym.envs.core.") for name in imported), imported
    assert lines < 250
