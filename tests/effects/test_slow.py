"""Which calls count as slow: the option and the catalogue name the same libraries, and words are read as they say."""

from __future__ import annotations

import pytest

from sessionlint.config.settings import SLOW_AWAITS
from sessionlint.effects import catalog
from sessionlint.effects.slow import Slow

SLOW = Slow((*SLOW_AWAITS, "acme.client"), catalog.load().slow)


def test_option_and_catalogue_name_the_same_libraries() -> None:
    assert sorted(SLOW_AWAITS) == sorted(catalog.load().slow)


@pytest.mark.parametrize(
    ("dotted", "awaited"),
    [
        ("httpx.AsyncClient.get", True),
        ("httpx.get", False),
        ("requests.Session.post", False),
        ("boto3.client().put_object", False),
        ("openai.OpenAI.chat.completions.create", False),
        ("asyncio.sleep", True),
        ("time.sleep", False),
        ("acme.client.Client.fetch", False),
        ("smtplib.SMTP", False),
        ("aiohttp.ClientSession().get().json", True),  # reads the body
    ],
)
def test_waits(dotted: str, awaited: bool) -> None:
    assert SLOW.calls(dotted, awaited)


@pytest.mark.parametrize(
    ("dotted", "awaited"),
    [
        ("httpx.AsyncClient", False),
        ("httpx.AsyncClient", True),  # `async with httpx.AsyncClient():` only makes a client
        ("httpx.AsyncClient.get", False),  # a coroutine nobody has awaited yet
        ("httpx.AsyncClient.aclose", True),
        ("httpx.Timeout", False),
        ("asyncio.sleep", False),
        ("boto3.client", False),
        ("httpxtra.get", True),
        ("openai.OpenAI", False),
        ("requests.get().json().get", False),  # a dictionary of the answer
        ("httpx.AsyncClient().get().json().get", False),
        ("boto3.client().get_object().get", False),
    ],
)
def test_does_not_wait(dotted: str, awaited: bool) -> None:
    assert not SLOW.calls(dotted, awaited)
