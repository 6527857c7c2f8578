"""Pictures show what the simulator holds: flows against its meters, colours against its limits."""

import ast
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.core.simulator import Simulator
from daogym.envs.energy import episode_view, moment, view
from daogym.envs.energy.episode_view import episode_plot, record_episode
from daogym.envs.energy.moment import estimate_flows, read_moment
from daogym.envs.energy.profiles import FEEDERS, load_feeder
from daogym.envs.energy.view import GridPicture, bus_places, render

RED = (193, 18, 31)


def running(name: str, steps: int, num_envs: int = 1) -> Simulator:
    """A simulator some steps into a sunny day, batteries moving."""
    simulator = daogym.make_simulator(name, num_envs, autoreset="disabled")
    simulator.reset(seed=5, options={"date": "2023-06-18"})
    draw = np.random.default_rng(1)
    for _ in range(steps):
        simulator.step(draw.uniform(-0.6, 0.6, (num_envs, simulator.action_size)))
    return simulator


def near(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Pixels of about this colour."""
    return np.asarray(np.abs(picture.astype(int) - colour).max(axis=2) < 40)


@pytest.mark.parametrize("name", FEEDERS)
def test_flows_agree_with_the_meters(name: str) -> None:
    simulator = running(name, 30)
    domain, feeder = simulator.domain, load_feeder(name)
    losses = simulator.event_names.index("losses_kwh")
    draw = np.random.default_rng(2)
    for _ in range(30):
        simulator.step(draw.uniform(-0.5, 0.5, (1, simulator.action_size)))
        now = read_moment(domain, simulator, 0)
        current, power = estimate_flows(domain, simulator, 0, now)
        rating = float(simulator.domain.transformer_kva)  # type: ignore[attr-defined]
        assert power[0] == pytest.approx(now.exchange_kw, abs=0.02 * rating)
        kva = current[0] * feeder.slack_voltage_pu * feeder.s_base_kva
        assert kva == pytest.approx(now.loading * rating, abs=0.02 * rating)
        lost = float((feeder.r_pu * current**2).sum()) * feeder.s_base_kva * 0.25
        assert lost <= simulator.events[0, losses] * 1.15 + 0.02


def test_what_cars_draw_is_what_leaves_their_wishes() -> None:
    simulator = daogym.make_simulator("ieee33", 1, autoreset="disabled")
    simulator.reset(seed=8)
    seen = 0
    for _ in range(96):
        before = simulator.state("ev_energy_kwh")[0].copy()
        leaving = simulator.state("ev_departure_step")[0].copy()
        simulator.step(np.zeros((1, simulator.action_size)))
        if (leaving == simulator.state("ev_departure_step")[0]).all():
            drawn = float((before - simulator.state("ev_energy_kwh")[0]).sum())
            efficiency = simulator.scenario.cars.efficiency
            now = read_moment(simulator.domain, simulator, 0)
            assert now.ev_kw == pytest.approx(drawn / (efficiency * 0.25), abs=1e-6)
            seen += drawn > 0.0
    assert seen > 20


def test_the_moment_names_the_step_just_finished() -> None:
    simulator = daogym.make_simulator("lv_rural", 1, autoreset="disabled")
    simulator.reset(seed=0, options={"date": "2023-06-18"})
    before = read_moment(simulator.domain, simulator, 0)
    assert (before.begun, before.hour, before.load_kw) == (False, 0.0, 0.0)
    for _ in range(5):
        simulator.step(np.zeros((1, simulator.action_size)))
    now = read_moment(simulator.domain, simulator, 0)
    assert (now.begun, now.hour) == (True, 1.0)
    assert now.import_price == pytest.approx(now.spot + 0.08)
    assert now.export_price == pytest.approx(0.9 * now.spot)
    for _ in range(91):
        simulator.step(np.zeros((1, simulator.action_size)))
    last = read_moment(simulator.domain, simulator, 0)
    assert (last.hour, last.day) == (23.75, now.day)
    assert last.eur == pytest.approx(float(simulator.episode_reward[0]))


@pytest.mark.parametrize("name", FEEDERS)
def test_buses_stand_apart_and_inside(name: str) -> None:
    places = bus_places(load_feeder(name), 760, 530, 42)
    gaps = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(len(places), 1)].min() > 25
    assert (places >= 41).all() and (places <= (719, 489)).all()


def test_a_bus_beyond_its_limit_has_a_red_ring() -> None:
    simulator = running("lv_rural", 40)
    picture = GridPicture(simulator.domain)
    now = read_moment(simulator.domain, simulator, 0)
    flat = np.zeros(15)
    for wrong in (3, 12):
        voltage = np.ones(15)
        voltage[wrong] = 1.08 if wrong == 3 else 0.9
        image = picture.draw(replace(now, voltage_pu=voltage), flat, flat)
        red = near(image, RED)
        for bus, (x, y) in enumerate(picture.places):
            column, row = round(10 + x), round(700 - 95 - y)
            ring = red[row - 12 : row + 13, column - 12 : column + 13].sum()
            assert (ring > 30) == (bus == wrong), bus


def test_warm_is_high_and_cold_is_low() -> None:
    simulator = running("lv_rural", 1)
    picture = GridPicture(simulator.domain)
    now = read_moment(simulator.domain, simulator, 0)
    colours = {}
    for voltage in (0.92, 1.0, 1.08):
        image = picture.draw(replace(now, voltage_pu=np.full(15, voltage)), *np.zeros((2, 15)))
        x, y = picture.places[14]
        colours[voltage] = image[round(700 - 95 - y), round(10 + x)].astype(int)
    assert colours[0.92][2] - colours[0.92][0] > 60
    assert colours[1.08][0] - colours[1.08][2] > 60
    assert np.ptp(colours[1.0]) < 10


def test_the_overloaded_transformer_is_red_and_its_bar_longer() -> None:
    simulator = running("lv_rural", 1)
    picture = GridPicture(simulator.domain)
    now = read_moment(simulator.domain, simulator, 0)
    lengths = {}
    for loading in (0.5, 1.2):
        image = picture.draw(replace(now, loading=loading), *np.zeros((2, 15)))
        row = image[108, 790:1030].astype(int)
        filled = np.abs(row - (0xEE, 0xEE, 0xEE)).max(axis=1) > 40
        lengths[loading] = int(filled.sum())
        assert near(image, RED)[105:112, 790:850].any() == (loading > 1.0)
    assert lengths[1.2] / lengths[0.5] == pytest.approx(2.4, rel=0.1)


def test_lanes_are_drawn_apart_and_later_pictures_leave_earlier_ones_alone() -> None:
    simulator = running("ieee33", 50, num_envs=2)
    first = render(simulator.domain, simulator, 0)
    kept = first.copy()
    second = render(simulator.domain, simulator, 1)
    assert first.shape == (700, 1120, 3) and first.dtype == np.uint8
    assert (first != second).any()
    assert (first == kept).all()
    assert (render(simulator.domain, simulator, 0) == first).all()
    with pytest.raises(IndexError, match="0 to 1"):
        render(simulator.domain, simulator, 2)


def test_gymnasium_renders() -> None:
    env = gymnasium.make("daogym/EnergyGrid-v0", render_mode="rgb_array")
    env.reset(seed=0)
    picture: Any = env.render()
    assert picture.shape == (700, 1120, 3)


def test_pyplot_is_never_imported() -> None:
    for module in (view, episode_view, moment):
        assert module.__file__ is not None
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "pyplot" not in ast.dump(node)


def test_the_record_adds_up_to_the_episode() -> None:
    simulator = daogym.make_simulator("lv_rural", 3, autoreset="disabled")
    simulator.reset(seed=11)
    draw = np.random.default_rng(3)
    actions = draw.uniform(-0.4, 0.4, (96, 3, simulator.action_size)).astype(np.float32)
    steps = iter(actions)
    record = record_episode(simulator, lambda _: next(steps), lane=1, name="random")

    other = daogym.make_simulator("lv_rural", 3)
    other.reset(seed=11)
    for action in actions:
        other.step(action)
    assert record.reward_eur == pytest.approx(float(other.episode_reward[1]), rel=1e-12)
    assert record.series["eur"][-1] == pytest.approx(record.reward_eur, rel=1e-12)
    names = other.event_names
    for name in ("import_kwh", "export_kwh", "curtailed_kwh"):
        total = float(other.episode_events[1, names.index(name)])
        assert record.events[name] == pytest.approx(total, rel=1e-9)
    series = record.series
    imported = np.maximum(series["exchange_kw"], 0.0).sum() * record.step_h
    assert imported == pytest.approx(record.events["import_kwh"], rel=1e-9)
    unused = (series["pv_available_kw"] - series["pv_kw"]).sum() * record.step_h
    assert unused == pytest.approx(record.events["curtailed_kwh"], abs=1e-6)
    assert record.voltage_pu.shape == (96, 14) and record.soc_share.shape == (96, 5)
    assert (np.diff(series["hour"]) == 0.25).all()


def test_recording_needs_the_last_state() -> None:
    simulator = daogym.make_simulator("lv_rural", 1)
    simulator.reset(seed=0)
    with pytest.raises(ValueError, match="autoreset='disabled'"):
        record_episode(simulator, lambda s: np.zeros((1, s.action_size)))


def test_episode_plots_are_written(tmp_path: Path) -> None:
    simulator = daogym.make_simulator("lv_rural", 1, autoreset="disabled")
    records = []
    for name in ("one", "two"):
        simulator.reset(seed=2)
        records.append(record_episode(simulator, lambda s: np.zeros((1, s.action_size)), name=name))
    widths = {}
    for count in (1, 2):
        path = tmp_path / f"{count}.png"
        episode_plot(records[:count], path)
        header = path.read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        widths[count] = struct.unpack(">II", header[16:24])
    assert widths[2][0] > 1.5 * widths[1][0] and widths[2][1] == widths[1][1]
    with pytest.raises(ValueError, match="at least one"):
        episode_plot([], tmp_path / "none.png")
