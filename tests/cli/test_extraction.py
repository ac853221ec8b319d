"""Extraction in forked processes gives what extraction in one process gives; the cache trusts no foreign pickle."""

from __future__ import annotations

import os
import pickle
import sys

import pytest

from sessionlint import extraction
from sessionlint.cache import FactsCache, unpack
from sessionlint.extraction import extract_all, with_deep_stack


def sources() -> dict[str, bytes]:
    return {f"m{n}.py": f"x{n} = {n}\n".encode() * (n + 1) for n in range(9)} | {"bad.py": b"x =\n"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_equals_serial(monkeypatch):
    serial = extract_all(sources(), None, 1)
    monkeypatch.setattr(extraction, "FORK_ABOVE", 0)
    assert extract_all(sources(), None, 3) == serial
    assert [one.path for one in serial.unparsed] == ["bad.py"]
    assert len(serial.facts) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_dies_has_its_share_done_by_the_parent(monkeypatch):
    serial = extract_all(sources(), None, 1)
    monkeypatch.setattr(extraction, "FORK_ABOVE", 0)
    parent = os.getpid()
    real = extraction._packed

    def packed(files, sources):
        if os.getpid() != parent:
            os._exit(9)
        return real(files, sources)

    monkeypatch.setattr(extraction, "_packed", packed)
    assert extract_all(sources(), None, 2) == serial


def test_cached_equals_fresh(tmp_path):
    fresh = extract_all(sources(), None, 1)
    cache = FactsCache(str(tmp_path / "c"), b"stamp")
    extract_all(sources(), cache, 1)
    cache.save()
    warm = FactsCache(str(tmp_path / "c"), b"stamp")
    assert len(warm._blobs) == len(sources())
    assert extract_all(sources(), warm, 1) == fresh
    assert not FactsCache(str(tmp_path / "c"), b"another stamp")._blobs


class Forged:
    def __reduce__(self):
        return os.system, ("echo forged",)


@pytest.mark.parametrize("forged", [Forged(), sys.exit, object()])
def test_a_forged_cache_runs_nothing(forged):
    with pytest.raises(pickle.UnpicklingError):
        unpack(pickle.dumps(forged))


def test_deep_stack():
    def depth(n: int) -> int:
        return 0 if n == 0 else 1 + depth(n - 1)

    limit = sys.getrecursionlimit()
    assert with_deep_stack(lambda: depth(50_000)) == 50_000
    assert sys.getrecursionlimit() == limit
    with pytest.raises(ZeroDivisionError):
        with_deep_stack(lambda: 1 / 0)
