import httpx
import requests
from urllib.parse import urlparse
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("web")
HOSTS = {"example.com"}


@mcp.tool()
async def fetch(url: str) -> str:
    async with httpx.AsyncClient(follow_redirects=True) as client:
        response = await client.get(url, timeout=10)  # BAD ssrf
        return wrap(response.text)


@mcp.tool()
def fetch_listed(url: str) -> str:
    host = urlparse(url).hostname
    if host not in HOSTS:
        raise ValueError(host)
    return wrap(requests.get(url, timeout=10, allow_redirects=False).text)


class Middleware:
    async def dispatch(self, request, call_next):
        base = request.headers.get("X-Jira-Url")
        return requests.get(f"{base}/rest/api/2/myself", timeout=5).json()  # BAD ssrf
