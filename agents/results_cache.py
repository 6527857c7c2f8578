"""Expensive outcomes kept on disk, trusted only when their whole key is equal."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from daogym.envs.core.compiled import cache_root

from .checkpoint import write_atomically


class ResultsCache:
    """JSON documents in a folder, one file a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def default(cls) -> ResultsCache:
        """Beside the compiled code (``DAOGYM_CACHE_DIR`` moves both)."""
        return cls(cache_root() / "results")

    def get(self, key: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """The document of ``key``; computed and written when missing, damaged or of another key."""
        text = json.dumps(dict(key), sort_keys=True)
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
        try:
            entry = json.loads(path.read_text())
            if entry["key"] == json.loads(text):
                return entry["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        value = compute()
        # A folder that cannot be written means computing again next time.
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"key": json.loads(text), "value": value}))
        return value
