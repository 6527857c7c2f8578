"""Scenarios: names, a user's YAML and CSV, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.logistics.named import logistics_scenario, names
from daogym.envs.logistics.network import Network

SMALL: dict[str, Any] = {
    "name": "small",
    "goods": [{"name": "bread", "price_usd": 3.0, "purchase_usd": 1.2}],
    "modes": [{"name": "van", "lead_days": 1, "freight_usd": 0.1}],
    "nodes": [
        {"name": "mill", "is_supplier": True},
        {"name": "shop", "mean_demand": [20.0], "holding_usd_per_day": 0.02},
    ],
    "lanes": [{"origin": "mill", "destination": "shop", "modes": ["van"]}],
}


def test_every_named_scenario_is_a_network() -> None:
    for name in names():
        scenario = logistics_scenario(name)
        assert scenario.name == name
        network = Network(scenario)
        assert network.base_stock[~network.supplier].min() > 0.0


def test_the_default_network_is_what_the_page_says() -> None:
    domain = daogym.make_simulator("supply_network", 1).domain
    tiers = [node.tier for node in domain.scenario.nodes if not node.is_supplier]
    assert {tier: tiers.count(tier) for tier in tiers} == {"plant": 3, "centre": 3, "retailer": 8}
    assert len(domain.scenario.goods) == 4
    assert domain.action_fields.size == 19 and domain.observation_fields.size == 440


def wrong(changes: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        Network(logistics_scenario({**SMALL, **changes}))
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lanse": []}, ("lanse", "lanes")),
        ({"lanes": [{"origin": "mil", "destination": "shop", "modes": ["van"]}]},
         ("origin", "'mil'", "mill")),
        ({"lanes": [{"origin": "mill", "destination": "shop", "modes": ["boat"]}]},
         ("boat", "van")),
        ({"lanes": [{"origin": "shop", "destination": "mill", "modes": ["van"]}]}, ("supplier",)),
        ({"nodes": [SMALL["nodes"][0], {"name": "shop", "mean_demand": [1.0, 2.0]}]},
         ("shop", "mean_demand", "1 numbers", "got 2")),
        ({"nodes": [SMALL["nodes"][0], {"name": "shop"}]}, ("mean_demand",)),
        ({"nodes": [*SMALL["nodes"], {"name": "shop", "mean_demand": [1.0]}]},
         ("different names", "shop")),
        ({"nodes": [*SMALL["nodes"], {"name": "cellar"}]}, ("cellar", "lane")),
        ({"nodes": [SMALL["nodes"][0], {"name": "shop", "mean_demand": [-1.0]}]}, ("-1",)),
        ({"charter": {"parameters": {"carbon_cap": 3.0}}}, ("carbon_cap_kg_per_day",)),
        ({"charter": {"parameters": {"late_slash_share": 3.0}}}, ("0.0 to 1.0",)),
        ({"charter": {"mode": "voted"}}, ("voted_ranges.carbon_cap_kg_per_day", "no limit")),
    ],
)  # fmt: skip
def test_errors_name_the_key_the_value_and_what_is_allowed(
    changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    message = wrong(changes)
    for word in words:
        assert word in message, message


def test_circles_and_drones_out_of_range_are_refused() -> None:
    nodes = [
        SMALL["nodes"][0], {"name": "a"}, {"name": "b", "mean_demand": [1.0], "x_km": 200.0},
    ]  # fmt: skip
    lanes = [{"origin": "a", "destination": "b", "modes": ["van"]},
             {"origin": "b", "destination": "a", "modes": ["van"]}]  # fmt: skip
    message = wrong({"nodes": nodes, "lanes": lanes})
    assert "circle" in message and "a, b" in message
    drone = {"name": "drone", "lead_days": 0,
             "fleet": {"vehicles": 1, "payload_volume": 1, "range_km": 50}}  # fmt: skip
    lanes = [{"origin": "mill", "destination": "a", "modes": ["van"]},
             {"origin": "a", "destination": "b", "modes": ["van", "drone"]}]  # fmt: skip
    message = wrong({"nodes": nodes, "lanes": lanes, "modes": [*SMALL["modes"], drone]})
    assert "400 km" in message and "50 km" in message


def write(folder: Path, nodes: str, lanes: str, yaml: str = "") -> Path:
    (folder / "nodes.csv").write_text(nodes, encoding="utf-8")
    (folder / "lanes.csv").write_text(lanes, encoding="utf-8")
    path = folder / "mine.yaml"
    path.write_text(
        yaml
        or "name: mine\ngoods: [{name: bread, price_usd: 3.0}, {name: cake}]\n"
        "modes: [{name: van, lead_days: 1}, {name: bike}]\n"
        "nodes_csv: nodes.csv\nlanes_csv: lanes.csv\n",
        encoding="utf-8",
    )
    return path


NODES = "name,is_supplier,mean_demand,holding_usd_per_day\nmill,true,,\nshop,,20 3.5,0.02\n"
LANES = "origin,destination,modes,lead_days\nmill,shop,van bike,2\n"


def test_a_network_from_csv_runs(tmp_path: Path) -> None:
    simulator = daogym.make_simulator(write(tmp_path, NODES, LANES), 2)
    assert simulator.scenario.nodes[1].mean_demand == (20.0, 3.5)
    assert simulator.scenario.lanes[0].modes == ("van", "bike")
    assert simulator.scenario.lanes[0].lead_days == 2
    simulator.reset(seed=0)


@pytest.mark.parametrize(
    ("nodes", "lanes", "words"),
    [
        (NODES.replace("20 3.5", "20 x"), LANES, ("nodes.csv:3", "mean_demand", "'x'")),
        (NODES.replace("mean_demand", "demand"), LANES, ("nodes.csv:1", "'demand'")),
        (NODES.replace("true", "ja"), LANES, ("nodes.csv:2", "true or false", "'ja'")),
        (NODES, LANES.replace(",2\n", ",2,9\n"), ("lanes.csv:2", "4 cells", "5")),
        (NODES, LANES.replace(",2\n", ",soon\n"), ("lanes.csv:2", "lead_days", "'soon'")),
        (NODES, "", ("lanes.csv", "first row")),
    ],
)  # fmt: skip
def test_wrong_cells_are_named(
    tmp_path: Path, nodes: str, lanes: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        daogym.make_simulator(write(tmp_path, nodes, lanes), 1)
    for word in words:
        assert word in str(caught.value)


def test_a_file_may_start_from_a_shipped_network(tmp_path: Path) -> None:
    path = tmp_path / "longer.yaml"
    path.write_text("base: serial_3\nname: longer\nhorizon_days: 20\n", encoding="utf-8")
    scenario = daogym.load_scenario(path)
    assert (scenario.name, scenario.horizon_days) == ("longer", 20)
    assert len(scenario.nodes) == 4
