"""Turn the sources of a project into facts: from the cache, else extracted, in forked processes where that pays.

One bad file is one ``ParseProblem``. Must not look into facts.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sessionlint.cache import FactsCache, content_key, pack, unpack

if TYPE_CHECKING:
    from sessionlint.facts import FileFacts, ParseProblem

FORK_ABOVE = 1_000_000  # bytes of uncached source; below it a fork costs more than it saves
STACK_BYTES = 512 * 1024 * 1024
RECURSION_LIMIT = 200_000

_T = TypeVar("_T")


class Extracted(NamedTuple):
    """Facts in the order of the files, and the files that could not be parsed."""

    facts: tuple[FileFacts, ...]
    unparsed: tuple[ParseProblem, ...]


def extract_all(
    sources: Mapping[str, bytes],
    cache: FactsCache | None,
    jobs: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Extracted:
    """Facts of every source; ``jobs`` 0 means one process per processor, ``progress`` hears how many are done."""
    from sessionlint.facts import ParseProblem

    with _collector_paused():
        known: dict[str, FileFacts | ParseProblem] = {}
        missing: list[str] = []
        keys: dict[str, bytes] = {}
        for file, source in sources.items():
            if cache is not None:
                keys[file] = content_key(file, source)
                kept = cache.get(keys[file])
                if kept is not None:
                    known[file] = kept  # type: ignore[assignment]  # only facts and problems are ever put there
                    continue
            missing.append(file)
        done = len(known)

        def tick() -> None:
            nonlocal done
            done += 1
            progress(done)

        for file, result, blob in _extract(missing, sources, jobs, tick, want_blobs=cache is not None):
            known[file] = result
            if cache is not None:
                cache.put(keys[file], blob)
        ordered = [known[file] for file in sources]
    facts = tuple(one for one in ordered if not isinstance(one, ParseProblem))
    unparsed = tuple(one for one in ordered if isinstance(one, ParseProblem))
    return Extracted(facts, unparsed)


def _extract(
    files: list[str], sources: Mapping[str, bytes], jobs: int, tick: Callable[[], None], *, want_blobs: bool
) -> Iterator[tuple[str, FileFacts | ParseProblem, bytes]]:
    workers = min(jobs or os.cpu_count() or 1, len(files))
    if workers < 2 or not hasattr(os, "fork") or sum(len(sources[file]) for file in files) < FORK_ABOVE:
        for file, result in _share(files, sources, tick):
            yield file, result, pack(result) if want_blobs else b""
        return
    for file, result, blob in _forked(_balanced(files, sources, workers), sources, tick):
        kept = pack(result) if want_blobs and not blob else blob
        yield file, result, kept


def _share(
    files: Iterable[str], sources: Mapping[str, bytes], tick: Callable[[], None]
) -> list[tuple[str, FileFacts | ParseProblem]]:
    """Extract some files on a deep stack: a sum of a thousand terms is a tree a thousand levels deep."""

    def work() -> list[tuple[str, FileFacts | ParseProblem]]:
        done = []
        for file in files:
            done.append((file, _one(file, sources[file])))
            tick()
        return done

    return with_deep_stack(work) if files else []


def _packed(files: Iterable[str], sources: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return with_deep_stack(lambda: [(file, pack(_one(file, sources[file]))) for file in files])


def _one(file: str, source: bytes) -> FileFacts | ParseProblem:
    """Extract one file; whatever goes wrong is a problem of that file."""
    from sessionlint.facts import ParseProblem, extract

    try:
        return extract(file, source)
    except (RecursionError, MemoryError):
        return ParseProblem(file, 1, 1, "cannot be parsed: nested too deeply")
    except Exception as error:  # a fault of ours must not cost the other files
        if os.environ.get("SESSIONLINT_DEBUG") == "1":
            raise
        return ParseProblem(file, 1, 1, f"cannot be analysed: {type(error).__name__}: {error}")


def _balanced(files: list[str], sources: Mapping[str, bytes], workers: int) -> list[list[str]]:
    """Shares of about equal size: the largest file goes to the least loaded worker."""
    shares: list[list[str]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for file in sorted(files, key=lambda one: -len(sources[one])):
        at = loads.index(min(loads))
        shares[at].append(file)
        loads[at] += len(sources[file]) + 500
    return [share for share in shares if share]


def _forked(
    shares: list[list[str]], sources: Mapping[str, bytes], tick: Callable[[], None]
) -> Iterator[tuple[str, FileFacts | ParseProblem, bytes]]:
    """Each share in a child of its own, the first one here; a child that dies has its share done here."""
    sys.stdout.flush()
    sys.stderr.flush()
    children: list[tuple[int, int, list[str]]] = []
    for share in shares[1:]:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(reader, writer, share, sources)
        os.close(writer)
        children.append((pid, reader, share))
    try:
        yield from ((file, result, b"") for file, result in _share(shares[0], sources, tick))
        while children:
            pid, reader, share = children.pop()
            with os.fdopen(reader, "rb") as stream:
                payload = stream.read()
            os.waitpid(pid, 0)
            try:
                answers = marshal.loads(payload)
            except (ValueError, EOFError, TypeError):
                answers = _packed(share, sources)
            for file, blob in answers:
                tick()
                yield file, unpack(blob), blob  # type: ignore[misc]  # a child packs what _one returns
    finally:
        for pid, reader, _left in children:  # only when interrupted
            with contextlib.suppress(OSError):
                os.close(reader)
                os.kill(pid, 15)
                os.waitpid(pid, 0)


def _child(reader: int, writer: int, share: Iterable[str], sources: Mapping[str, bytes]) -> None:
    """Extract a share and leave without running the parent's exit handlers."""
    code = 1
    try:
        os.close(reader)
        payload = marshal.dumps(_packed(share, sources))
        with os.fdopen(writer, "wb") as stream:
            stream.write(payload)
        code = 0
    except BaseException:  # the parent sees the short answer and does the share itself
        code = 1
    finally:
        os._exit(code)


def with_deep_stack(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread with a large stack and a high recursion limit; its exception is raised here."""
    answers: list[_T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            failures.append(error)

    limit = sys.getrecursionlimit()
    size = STACK_BYTES
    while True:
        previous = threading.stack_size(size)
        thread = threading.Thread(target=body, daemon=True, name="sessionlint-analysis")
        try:
            # One Python frame takes up to 500 bytes of C stack in 3.10; 2 kB each leaves room for C calls between.
            sys.setrecursionlimit(max(limit, min(RECURSION_LIMIT, size // 2048)))
            thread.start()
            break
        except RuntimeError:  # no address space for such a stack
            if size <= 16 * 1024 * 1024:
                sys.setrecursionlimit(limit)
                return work()
            size //= 4
        finally:
            threading.stack_size(previous)
    try:
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
    if failures:
        raise failures[0]
    return answers[0]


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Facts hold no cycles, and collecting among millions of tuples doubles the time to load them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
