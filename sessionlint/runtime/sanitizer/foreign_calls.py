"""Reports calls of HTTP clients inside a transaction at once (SES503), however fast a test double answers.

No client announces its calls to the process, so the one method of each through which all requests pass is wrapped;
only clients that the program has imported are touched.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .violations import Step

if TYPE_CHECKING:
    from .sanitizer import Sanitizer


class Client(NamedTuple):
    """``module`` is looked up in ``sys.modules``; ``owner`` is the class in it that has ``method``."""

    module: str
    owner: str
    method: str

    @property
    def label(self) -> str:
        return self.module.partition(".")[0]


CLIENTS = (
    Client("httpx", "Client", "send"),
    Client("httpx", "AsyncClient", "send"),
    Client("aiohttp", "ClientSession", "_request"),
    Client("requests", "Session", "send"),
    Client("grpc", "UnaryUnaryMultiCallable", "__call__"),
    Client("smtplib", "SMTP", "sendmail"),
)


def wrap_loaded(sanitizer: Sanitizer) -> None:
    """Wrap every known client that is imported by now; each once."""
    for client in CLIENTS:
        module = sys.modules.get(client.module)
        owner = getattr(module, client.owner, None)
        if owner is not None and callable(getattr(owner, client.method, None)):
            sanitizer.patches.replace(owner, client.method, functools.partial(_announcing, sanitizer, client))


def _announcing(sanitizer: Sanitizer, client: Client, original: Callable[..., Any]) -> Callable[..., Any]:
    # A plain function also for async methods: what it returns is awaited by the caller, in the caller's frame.
    @functools.wraps(original)
    def announced(*args: Any, **keywords: Any) -> Any:
        report(sanitizer, client.label)
        return original(*args, **keywords)

    return announced


def report(sanitizer: Sanitizer, what: str) -> None:
    """A foreign call begins now; says so for each open transaction that the running code works in."""
    for transaction in sanitizer.open_transactions():
        if transaction.external or not transaction.concerns_current():
            continue
        stack = sanitizer.reader.current()
        if not stack.sites:
            return
        begun = transaction.first_spot()
        transaction.reported = True
        sanitizer.report(
            "SES503",
            stack.sites[0],
            f"`{stack.sites[0].spot.function}` calls `{what}` while a transaction is open",
            (Step(begun, "the transaction begins"),) if begun else (),
        )
