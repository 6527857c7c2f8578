"""Contracts in an EVM inside this process: deploying, calling, what they refuse and what they show.

`Chain` wraps pyrevm. Its traps: storage stays warm between calls, so its gas is understated (here
nothing looks at gas); `EVM.commit` breaks the next call, so a chain is made anew, never committed;
the data of a revert comes as text in a RuntimeError.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
ARTEFACT = CONTRACTS / "build" / "contracts.json"

_DEPLOYER = "0x" + "d0" * 20
_REVERT = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*)")
_PANIC = "4e487b71"
_TEXT = "08c379a0"


def reason_to_skip() -> str | None:
    """Why the contracts cannot be run here, None where they can."""
    if util.find_spec("pyrevm") is None:
        return "pyrevm is missing: install the extra 'test'"
    if not ARTEFACT.exists():
        if shutil.which("node") is None or shutil.which("npm") is None:
            return "the contracts are not compiled and node/npm is missing"
        return "the contracts are not compiled: run make contracts"
    sources = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (CONTRACTS / "src").glob("*.sol")
    }
    if json.loads(ARTEFACT.read_text())["sources"] != sources:
        return "the compiled contracts are not those of contracts/src: run make contracts"
    return None


@cache
def artefact() -> dict[str, Any]:
    """Bytecode, function selectors and error selectors by contract."""
    contracts: dict[str, Any] = json.loads(ARTEFACT.read_text())["contracts"]
    return contracts


@cache
def error_names() -> dict[str, str]:
    """Selector -> name of every error that one of the contracts declares."""
    names = {_PANIC: "Panic", _TEXT: "Error"}
    for contract in artefact().values():
        names.update({selector: name for name, selector in contract["errors"].items()})
    return names


def word(value: int | str) -> bytes:
    """A number or an address as one ABI word."""
    number = int(value, 16) if isinstance(value, str) else value
    return number.to_bytes(32, "big")


def words(values: list[int] | list[str]) -> bytes:
    """The dynamic ABI type of an array of static values."""
    return word(len(values)) + b"".join(map(word, values))


def packed(data: bytes) -> bytes:
    """The dynamic ABI type of bytes or a string."""
    return word(len(data)) + data + bytes(-len(data) % 32)


def encode(*arguments: int | str | bytes) -> bytes:
    """ABI encoding of a call: numbers and addresses are static, bytes are encoded dynamic types."""
    head, tail = b"", b""
    for argument in arguments:
        if isinstance(argument, bytes):
            head += word(32 * len(arguments) + len(tail))
            tail += argument
        else:
            head += word(argument)
    return head + tail


def numbers(data: bytes) -> NDArray[np.int64]:
    """Every word of an answer as int64; the lowest 64 bits where it is an address."""
    return np.frombuffer(data, ">u8")[3::4].astype(np.int64)


@dataclass(frozen=True)
class Answer:
    """What a call came to: its data, or the name of the error that it was refused with."""

    data: bytes = b""
    error: str | None = None


class Chain:
    """A fresh EVM with two clocks of one's own."""

    def __init__(self, number: int, time_s: int) -> None:
        import pyrevm

        self._block = pyrevm.BlockEnv
        self._evm = pyrevm.EVM(spec_id="CANCUN")
        self.set_clocks(number, time_s)

    def set_clocks(self, number: int, time_s: int) -> None:
        """Block number and timestamp of the calls that follow."""
        self._evm.set_block_env(self._block(number=number, timestamp=time_s))

    def deploy(self, name: str, *arguments: int | str | bytes) -> Contract:
        """A contract of the artefact, constructed with these arguments."""
        code = bytes.fromhex(artefact()[name]["bytecode"]) + encode(*arguments)
        return Contract(self, self._evm.deploy(_DEPLOYER, code), artefact()[name]["functions"])

    def call(self, caller: str, address: str, data: bytes) -> Answer:
        """A transaction, or a view; a refusal leaves the state as it was."""
        try:
            return Answer(self._evm.message_call(caller, address, calldata=data))
        except RuntimeError as failure:
            found = _REVERT.match(str(failure))
            if found is None:
                raise
            return Answer(error=error_names().get(found[1][:8], found[1]))


class Contract:
    """A deployed contract; functions are named by their ABI signature."""

    def __init__(self, chain: Chain, address: str, functions: dict[str, str]) -> None:
        self._chain = chain
        self._selectors = {name: bytes.fromhex(code) for name, code in functions.items()}
        self.address = address

    def data(self, function: str, *arguments: int | str | bytes) -> bytes:
        """Call data."""
        return self._selectors[function] + encode(*arguments)

    def call(self, caller: str, function: str, *arguments: int | str | bytes) -> Answer:
        """Call as `caller`."""
        return self._chain.call(caller, self.address, self.data(function, *arguments))

    def must(self, function: str, *arguments: int | str | bytes) -> bytes:
        """Call as the deployer; a refusal fails the test."""
        answer = self.call(_DEPLOYER, function, *arguments)
        assert answer.error is None, f"{function}: {answer.error}"
        return answer.data


DEPLOYER = _DEPLOYER
