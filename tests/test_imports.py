"""Imports go one way, heavy libraries stay where they belong, and `import daogym` is light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# folder -> import name, as pyproject.toml's package-dir maps them
PACKAGES = {
    "daogym": "daogym",
    "envs": "daogym.envs",
    "agents": "daogym.agents",
    "leaderboard": "daogym.leaderboard",
}
ENTRY_POINTS = ("train.py", "evaluate.py", "export.py", "benchmarks", "tools")

# Each room may import the rooms of a lower rank, and itself. What is not named here and lies under
# daogym.envs is a domain.
CORE, DAO, DOMAIN, REGISTRY, ADAPTERS, ROOT_PACKAGE, AGENTS, LEADERBOARD, ENTRY = range(9)
RANKS = {
    "daogym.envs.core": CORE,
    "daogym.envs.dao": DAO,
    "daogym.envs": REGISTRY,
    "daogym.envs.registry": REGISTRY,
    "daogym.envs.adapters": ADAPTERS,
    "daogym": ROOT_PACKAGE,
    "daogym.agents": AGENTS,
    "daogym.leaderboard": LEADERBOARD,
}

FRAMEWORKS = {"gymnasium", "pettingzoo", "ray", "stable_baselines3", "torch"}
LAZY_ONLY = {"ev2gym", "pandapower", "pandas", "simbench"}
SHADOWED = {"agents", "envs", "leaderboard"}
ENTRY_NAMES = {Path(entry).stem for entry in ENTRY_POINTS}


def room_of(module: str) -> tuple[str, int]:
    """The room that a dotted module name lies in, and the room's rank."""
    parts = module.split(".")
    if parts[0] != "daogym":
        return "entry points", ENTRY
    if parts[1:2] == ["envs"] and len(parts) > 2:
        room = ".".join(parts[:3])
        return room, RANKS.get(room, DOMAIN)
    room = ".".join(parts[:2])
    return (room, RANKS[room]) if room in RANKS else ("daogym", ROOT_PACKAGE)


def imports_of(
    tree: ast.AST, module: str, is_package: bool, known: set[str]
) -> Iterator[tuple[str, int, bool]]:
    """Yield (absolute dotted module name, line, at module level) of each import below `tree`.

    `from a import b` yields `a.b` if that is one of the `known` modules, else `a`.
    """

    def visit(node: ast.AST, top: bool) -> Iterator[tuple[str, int, bool]]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                package = package[: len(package) - (node.level - 1)]
                base = ".".join([*package, node.module] if node.module else package)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield name if name in known else base, node.lineno, top
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, top and not inside)

    yield from visit(tree, True)


def violations(source: str, module: str, is_package: bool, known: set[str]) -> list[str]:
    """What in `source`, the text of `module`, breaks the import rules: one sentence each.

    `known` holds the import name of every module of the project.
    """
    room, rank = room_of(module)
    installed = module.split(".")[0] == "daogym"
    found = []
    for name, line, top in imports_of(ast.parse(source), module, is_package, known):
        where = f"{module}, line {line}: imports {name}"
        library = name.split(".")[0]
        target, target_rank = room_of(name)
        if library in SHADOWED:
            found.append(f"{where}; a user's own folder would shadow it, use daogym.{library}")
        elif library == "daogym" and target != room and target_rank >= rank:
            found.append(f"{where}; {room} may not import {target}")
        elif library in ENTRY_NAMES and installed:
            found.append(f"{where}; an entry point is not part of the installed package")
        elif library in FRAMEWORKS and room.startswith("daogym.envs.") and rank != ADAPTERS:
            found.append(f"{where}; under envs/ only adapters/ may import {library}")
        elif library in LAZY_ONLY and installed and top:
            found.append(f"{where}; {library} may only be imported inside a function")
    return found


def project_modules() -> dict[str, Path]:
    """Import name -> file of every Python file outside tests/ and docs/."""
    modules = {}
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT / folder).with_suffix("")
            parts = [part for part in relative.parts if part != "__init__"]
            modules[".".join([package, *parts])] = path
    for entry in ENTRY_POINTS:
        path = ROOT / entry
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists():
            modules[".".join(file.relative_to(ROOT).with_suffix("").parts)] = file
    return modules


MODULES = project_modules()


def test_every_room_is_looked_at() -> None:
    rooms = {room_of(module)[0] for module in MODULES}
    assert {"daogym", "daogym.agents", "daogym.envs.core", "daogym.envs.energy"} <= rooms


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    path = MODULES[module]
    source = path.read_text(encoding="utf-8")
    assert violations(source, module, path.name == "__init__.py", set(MODULES)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("daogym.envs.core.simulator", "from daogym.envs.dao import charter"),
        ("daogym.envs.core.simulator", "import daogym.envs.energy.kernel"),
        ("daogym.envs.core.simulator", "from ..energy import kernel"),
        ("daogym.envs.core.simulator", "from daogym.envs import energy"),
        ("daogym.envs.core.simulator", "from daogym import make_simulator"),
        ("daogym.envs.dao.charter", "def late():\n    from daogym.envs.energy import scenario"),
        ("daogym.envs.energy.kernel", "from daogym.envs.compute.kernel import step"),
        ("daogym.envs.energy.kernel", "from daogym.envs.adapters import sb3"),
        ("daogym.envs.energy.domain", "from daogym.envs.registry import make_simulator"),
        ("daogym.envs.registry", "from .adapters import sb3"),
        ("daogym.envs.adapters.sb3", "from daogym.agents.ppo import PPO"),
        ("daogym.agents.ppo", "import daogym.leaderboard"),
        ("daogym.agents.ppo", "import train"),
        ("daogym.envs.energy.kernel", "import envs.core.random"),
        ("train", "from agents import ppo"),
        ("daogym.envs.core.score", "import torch.nn"),
        ("daogym.envs.energy.view", "def late():\n    import gymnasium"),
        ("daogym.envs.core.score", "from stable_baselines3.common import vec_env"),
        ("daogym.envs.energy.data", "import pandapower as pp"),
        ("daogym.envs.energy.data", "if True:\n    import simbench"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    known = {f"daogym.envs.{name}" for name in ("adapters", "compute", "dao", "energy")}
    assert len(violations(source, module, False, known)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "daogym.envs.core.simulator",
            "import numpy\nfrom . import random\nfrom .field import Field",
        ),
        ("daogym.envs.dao.charter", "from daogym.envs.core.field import Field"),
        ("daogym.envs.energy.domain", "from daogym.envs.dao import charter"),
        ("daogym.envs.energy.data", "def read():\n    import pandapower"),
        (
            "daogym.envs.adapters.sb3",
            "import stable_baselines3\nfrom daogym.envs.core import field",
        ),
        ("daogym.envs.registry", "from .energy.domain import EnergyDomain"),
        ("daogym.envs.adapters.sb3", "from daogym.envs.registry import make_simulator"),
        ("daogym", "from daogym.envs.adapters import registration\nimport gymnasium"),
        ("daogym.agents.ppo", "import daogym\nimport torch\nfrom daogym import make_simulator"),
        ("train", "from daogym.agents import ppo"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert violations(source, module, module == "daogym", {"daogym.envs.energy"}) == []


def test_importing_daogym_is_light(tmp_path: Path) -> None:
    heavy = LAZY_ONLY | {"matplotlib", "onnx", "stable_baselines3", "tensorboard", "torch"}
    code = f"import sys, daogym; print(sorted({heavy!r} & sys.modules.keys()))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr
