"""Several URLs asked at the same moment."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import httpx

SECONDS = 3.0


@dataclass(frozen=True)
class Unread:
    """An answer that did not come, and why not: a phrase after the URL."""

    why: str


def fetched(urls: Iterable[str]) -> list[str | Unread]:
    """The bodies at the URLs, asked for at the same moment; none later than `SECONDS` from now."""
    return asyncio.run(_fetch_all(list(urls)))


async def _fetch_all(urls: Sequence[str]) -> list[str | Unread]:
    # No TLS is spoken with pods; httpx would load all authorities' certificates at each look.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, timeout=None, limits=limits, verify=context) as client:  # noqa: S113 - `_fetch` has the limit
        return await asyncio.gather(*(_fetch(client, url) for url in urls))


async def _fetch(client: httpx.AsyncClient, url: str) -> str | Unread:
    try:
        async with asyncio.timeout(SECONDS):
            answer = await client.get(url)
    except TimeoutError:
        return Unread(f"did not answer in {SECONDS:g} s")
    except httpx.HTTPError as error:
        return Unread(f"does not answer: {str(error) or type(error).__name__}")
    if answer.status_code != httpx.codes.OK:
        return Unread(f"answers with status {answer.status_code}")
    return answer.text
