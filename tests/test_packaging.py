"""The built wheel holds everything and works beside a user's own envs/ and agents/ folders."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"daogym": "daogym", "envs": "daogym/envs", "agents": "daogym/agents"}


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run a command, return its standard output, and fail with its standard error if it fails."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}: {result.stdout}\n{result.stderr}"
    return result.stdout


def source_files() -> dict[str, Path]:
    """Path inside the wheel -> source file, of every file in the folders that are installed."""
    files = {}
    for folder, installed in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files[f"{installed}/{path.relative_to(ROOT / folder).as_posix()}"] = path
    return files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy, so that no build folder of old is in it."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    run(*build, str(source), cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, without its dependencies."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--target", str(target), str(wheel), cwd=target)
    return target


def test_the_package_list_names_every_package_folder() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    inits = [path for path in source_files() if path.endswith("/__init__.py")]
    expected = {Path(path).parent.as_posix().replace("/", ".") for path in inits}
    assert set(listed) == expected


def test_the_wheel_holds_every_source_and_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.startswith("daogym-")}
        texts = {name for name in archive.namelist() if name.startswith("daogym-")}
    assert held == set(source_files())
    assert "daogym/py.typed" in held
    assert any(name.endswith("licenses/LICENSE") for name in texts)


@pytest.fixture
def users_folder(tmp_path: Path) -> Path:
    """A folder with packages of the user's, named like this project's top-level folders."""
    for folder in ("envs", "agents", "leaderboard"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("raise ImportError('the user\\'s folder')")
    return tmp_path


def test_the_wheel_wins_over_folders_of_the_user(installed: Path, users_folder: Path) -> None:
    modules = ["daogym", "daogym.envs.core", "daogym.envs.dao", "daogym.envs.energy"]
    modules += ["daogym.envs.adapters", "daogym.agents", "daogym.agents.export"]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    print(importlib.import_module(name).__file__)\n"
        "print(sorted({'envs', 'agents', 'leaderboard'} & sys.modules.keys()))\n"
    )
    *files, shadowing = run(
        sys.executable, "-c", code, cwd=users_folder, PYTHONPATH=str(installed)
    ).splitlines()
    expected = [installed / name.replace(".", "/") / "__init__.py" for name in modules]
    assert [Path(file) for file in files] == expected
    assert shadowing == "[]"


def test_the_wheel_steps_a_scenario_beside_folders_of_the_user(
    installed: Path, users_folder: Path
) -> None:
    code = (
        "import sys, numpy, daogym\n"
        "simulator = daogym.make_simulator('lv_rural', num_envs=2)\n"
        "simulator.reset(seed=0)\n"
        "width = simulator.action_fields.size\n"
        "simulator.step(numpy.zeros((2, width), dtype=numpy.float32))\n"
        "assert numpy.isfinite(simulator.rewards).all()\n"
        "own = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'daogym']\n"
        "print(*own, sep='\\n')\n"
    )
    files = run(
        sys.executable, "-c", code, cwd=users_folder, PYTHONPATH=str(installed)
    ).splitlines()
    assert len(files) > 5
    assert all(Path(file).is_relative_to(installed) for file in files), files


def test_versions_agree(wheel: Path, installed: Path) -> None:
    version = run(
        sys.executable,
        "-c",
        "import daogym; print(daogym.__version__)",
        cwd=installed,
    ).strip()
    assert wheel.name.split("-")[1] == version


def test_the_lock_pins_every_dependency_once_and_torch_first() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins[0] == "torch==2.13.0"
    assert all(pin.count("==") == 1 for pin in pins)
    names = [canonical(pin.split("==")[0]) for pin in pins]
    assert len(set(names)) == len(names)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    assert {canonical(item.split(">=")[0]) for item in wanted} <= set(names)


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")
