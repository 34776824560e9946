import io
import re
import zipfile

import httpx
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("docs")
DOMAINS = [r"^https?://docs\.example\.com/"]


def with_intent(url: str, intent: str) -> str:
    if intent:
        url = f"{url}&intent={intent}"
    return url


@mcp.tool()
async def read(url: str) -> str:
    if not any(re.match(domain, url) for domain in DOMAINS):
        raise ValueError(url)
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text


@mcp.tool()
async def search(intent: str) -> str:
    url = with_intent("https://docs.example.com/search?session=1", intent)
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text


@mcp.tool()
async def export(drive_service, file: bytes) -> str:
    page = httpx.get(drive_service.url())
    return str(zipfile.ZipFile(io.BytesIO(file)).namelist())
