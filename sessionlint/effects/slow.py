"""Which calls leave the process and wait: the network, sleep, another program.

Which libraries count is the option ``slow-awaits``; what of them blocks without ``await`` stands in ``catalog.toml``.
Must not know anything about sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sessionlint.project import symbols as sym

#: modules whose functions are coroutines: nothing happens before they are awaited
_COROUTINES = frozenset({"asyncio", "anyio", "trio"})
#: how clients are asked; what they give back is the answer
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "send"})
#: what is awaited of a client without waiting for anybody else's work
_QUIET = frozenset({"aclose", "close", "__aenter__", "__aexit__", "disconnect", "release", "set", "wait_closed"})


class Slow:
    """Answers for one configuration. ``words`` are the blocking calls of each library."""

    def __init__(self, names: Iterable[str], words: Mapping[str, tuple[str, ...]]) -> None:
        self._names = tuple(sorted(names, key=len, reverse=True))
        self._words = words
        #: names the catalogue does not know may be the project's own; they are told by more than one component
        self._own = tuple(n for n in self._names if n not in words and "." in n)

    def calls(self, dotted: str, awaited: bool) -> bool:
        """Whether a call of something outside, by its dotted path, waits for the world."""
        plain = dotted.replace("()", "")
        name = next((n for n in self._names if plain == n or plain.startswith(f"{n}.")), None)
        if name is None or (not awaited and _is_answer(dotted, self._words.get(name, ()))):
            return False
        last = plain.rpartition(".")[2]
        if awaited:
            return last not in _QUIET and not last[:1].isupper()
        if plain == name:
            return name.partition(".")[0] not in _COROUTINES
        if "Async" in plain or "async" in plain:
            return False
        words = self._words.get(name)
        if words is None:
            return last[:1].islower()  # named by the user, and nothing is known of it: whatever it does counts
        return last in words or ("*" in words and _of_object(dotted))

    def runs(self, function: sym.Function) -> bool:
        """Whether the configuration names this function, class or module of the project itself."""
        path = f"{function.module.dotted}.{function.qualname}"
        return any(f".{path}.".find(f".{name}.") >= 0 for name in self._own)


def _is_answer(dotted: str, words: tuple[str, ...]) -> bool:
    """``requests.get().json().get``: what is called belongs to an answer that is there already."""
    made_by = dotted.split("()")[:-1]
    for count in range(1, len(made_by) + 1):
        call = "()".join(made_by[:count])
        last = call.rpartition(".")[2]
        if last in words or last in _VERBS or ("*" in words and _of_object(call)):
            return True
    return False


def _of_object(dotted: str) -> bool:
    """``boto3.client().put_object``: a method of something the library made."""
    before = dotted.rpartition(".")[0]
    return before.endswith(")") or any(part[:1].isupper() for part in before.split("."))
