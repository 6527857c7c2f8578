"""The documentation agrees with the code: tables, names, numbers, links and commands.

``python tests/test_docs.py`` writes the tables of docs/energy.md anew.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import daogym
from daogym.envs.energy import scenario as scenario_module
from daogym.envs.energy.layout import COSTS, EVENTS, TERMS, VOTED_EVENTS
from daogym.envs.energy.named import NAMES, stress_variants
from daogym.envs.energy.scenario import GOVERNED_PARAMETERS, EnergyScenario

ROOT = Path(__file__).resolve().parents[1]
ENERGY = ROOT / "docs" / "energy.md"
LOGISTICS = ROOT / "docs" / "logistics.md"
COMPUTE = ROOT / "docs" / "compute.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/*/data/*.md")])
TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def markdown(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def domain(scenario: str, action_mode: str = "fleet") -> Any:
    """The domain of a scenario."""
    return daogym.make_simulator(scenario, 1, action_mode=action_mode).domain


def scenario_table() -> str:
    """Size of each shipped scenario."""
    rows = []
    for name in NAMES:
        d = domain(name)
        f = d.feeder
        rows.append((
            f"`{name}`", f.n_bus, len(f.load_bus),
            f"{len(f.pv_bus)}: {f.pv_p_kw.sum():,.0f} kW",
            f"{len(f.battery_bus)}: {f.battery_e_kwh.sum():,.0f} kWh",
            f"{len(f.ev_bus)}: {f.ev_p_kw.sum():,.0f} kW", f"{d.transformer_kva:,.0f} kVA",
            d.observation_fields.size, d.action_fields.size,
            domain(name, "device").action_fields.size,
        ))  # fmt: skip
    head = ("Name", "Buses", "Loads", "PV", "Batteries", "Chargers", "Transformer",
            "Observation", "Actions, fleet", "Actions, device")  # fmt: skip
    return markdown(head, rows)


def settings() -> Iterator[tuple[str, Any, str]]:
    """(key, default, meaning) of every setting; the meaning is the string below the attribute."""
    tree = ast.parse(Path(scenario_module.__file__).read_text(encoding="utf-8"))
    meanings: dict[tuple[str, str], str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for item, after in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(item, ast.AnnAssign)
                    and isinstance(item.target, ast.Name)
                    and isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                ):
                    meanings[node.name, item.target.id] = str(after.value.value)

    def walk(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any, str]]:
        for name, field in model.model_fields.items():
            default = field.get_default(call_default_factory=True)
            if isinstance(default, BaseModel):
                if name != "charter":
                    yield from walk(type(default), f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", default, meanings.get((model.__name__, name), "")

    yield from walk(EnergyScenario, "")


NOTHING = {"cost": "nothing for money: a cost to keep low", "price": "nothing: distributional"}


def tables() -> dict[str, str]:
    """Every table of docs/energy.md that is made from the code."""
    rural = domain("lv_rural")
    return {
        "fleet": rural.action_fields.table(),
        "device": domain("lv_rural", "device").action_fields.table(),
        "observation": rural.observation_fields.table(),
        "scenarios": scenario_table(),
        "stress": markdown(
            ("Variant", "Changes"),
            [
                (f"`{name}`", ", ".join(
                    f"`{group}.{key}` = {value}"
                    for group, changes in variant.items() for key, value in changes.items()))
                for name, variant in stress_variants().items()
            ],
        ),
        "settings": markdown(
            ("Key", "Default", "Meaning"),
            [
                (f"`{key}`", f"`{value}`", " ".join(text.split()).replace("|", "\\|"))
                for key, value, text in settings()
            ],
        ),
        "charter": markdown(
            ("Parameter", "Unit", "Low", "High", "Initial", "Effect", "Meaning"),
            [
                (f"`{p.name}`", p.unit, p.low, p.high, p.initial, p.effect, p.doc)
                for p in GOVERNED_PARAMETERS
            ],
        ),
        "voted": markdown(
            ("Parameter", "Largest change", "Least interval", "What an operator does differently"),
            [
                (f"`{p.name}`", f"{p.largest_change:g}", f"{p.least_interval_days:g} day",
                 p.decides or NOTHING["cost" if p.effect == "cost" else "price"])
                for p in GOVERNED_PARAMETERS if p.largest_change > 0.0
            ],
        ),
    }  # fmt: skip


def test_the_tables_are_the_codes() -> None:
    shown = dict(TABLE.findall(ENERGY.read_text(encoding="utf-8")))
    made = tables()
    assert set(shown) == set(made)
    for name, table in made.items():
        assert shown[name] == table, f"{name}: run python tests/test_docs.py"


def rows_of(section: str) -> list[list[str]]:
    """Cells of the table below a heading of docs/energy.md, its head left out."""
    text = ENERGY.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize(
    ("section", "names"), [("Rewards", TERMS), ("Costs", COSTS), ("Events", EVENTS)]
)
def test_the_names_are_the_codes(section: str, names: tuple[str, ...]) -> None:
    assert [row[0].strip("`") for row in rows_of(section)] == list(names)


def test_voted_events_are_the_codes() -> None:
    text = ENERGY.read_text(encoding="utf-8").split("| Voted event |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", text, re.M) == list(VOTED_EVENTS)


def test_the_ids_are_the_registered_ones() -> None:
    named: set[str] = set()
    for page in (ENERGY, COMPUTE, LOGISTICS):
        named |= set(re.findall(r"`(daogym/[\w-]+)`", page.read_text(encoding="utf-8")))
    assert named == {entry.id for entry in daogym.REGISTERED}


def test_the_numbers_in_the_prose_are_the_defaults() -> None:
    """Where the page writes a default as a number, it is the setting's."""
    text = ENERGY.read_text(encoding="utf-8")
    s = EnergyScenario()
    for words in (
        f"-E (spot + {s.tariff.import_fee_eur_per_kwh:g})",
        f"{s.tariff.feed_in_share:g} spot",
        f"-{s.batteries.wear_eur_per_kwh:g} x throughput",
        f"{s.transformer.price_eur_per_kva:g} EUR/kVA x rating / {s.transformer.life_h:,.0f} h",
        f"-{s.limits.unserved_eur_per_kwh:g} x load",
        f"-{s.cars.unmet_eur_per_kwh:g} x energy",
        f"outside {s.limits.voltage_low_pu:g} to {s.limits.voltage_high_pu:g}",
        f"above {s.limits.trip_voltage_pu:.2f} pu disconnects for {s.limits.reconnect_minutes:g}",
        f"{s.limits.relay_loading:.0%} loading".replace("%", " %"),
        f"hot spot above {s.limits.hot_spot_limit_c:g} °C",
        f"below {s.limits.voltage_floor_pu:g} pu",
        f"ambient {s.transformer.ambient_c:g} °C",
        f"published at {s.tariff.publication_hour:g}:00",
        f"sigma {s.forecast.load_sigma:g} for load and {s.forecast.pv_sigma:g} for PV",
        f"persistence {s.forecast.persistence_per_h:g} an hour",
        f"starts at {s.batteries.initial_soc_low:.0%} to".replace("%", ""),
    ):
        assert words in text, words


def python_blocks() -> list[tuple[Path, str]]:
    """Python blocks of pages without a test of their own."""
    found = []
    for page in PAGES:
        if page.name != "write_your_own_domain.md":
            for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
                found.append((page, code))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_are_python(page: Path) -> None:
    for owner, code in python_blocks():
        if owner == page:
            ast.parse(code)


def test_the_pages_example_runs() -> None:
    (code,) = [code for page, code in python_blocks() if page == ENERGY]
    names: dict[str, Any] = {}
    exec(compile(code, str(ENERGY), "exec"), names)
    assert names["week"].horizon == 7 * 96
    names["env"].reset(seed=0)
    assert names["env"].render().shape[2] == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}
            assert anchor in slugs, f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_name_files_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for script in re.findall(r"\bpython(?:3[.\d]*)? ([\w/.-]+\.py)\b", text):
        assert (ROOT / script).is_file(), f"{page.name}: python {script}"
    for module in re.findall(r"\bpython(?:3[.\d]*)? -m ([\w.]+)", text):
        inside = ROOT / module.replace(".", "/")
        known = inside.with_suffix(".py").is_file() or inside.is_dir()
        assert known or importlib.util.find_spec(module.split(".")[0]), f"python -m {module}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M):
        assert target in targets, f"{page.name}: make {target}"


def write_tables() -> None:
    """Put the tables of today's code into docs/energy.md."""
    made = tables()
    text = ENERGY.read_text(encoding="utf-8")
    put = lambda m: f"<!-- table: {m[1]} -->\n{made[m[1]]}<!-- end -->"  # noqa: E731
    ENERGY.write_text(TABLE.sub(put, text), encoding="utf-8")


if __name__ == "__main__":
    write_tables()
