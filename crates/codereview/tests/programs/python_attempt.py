import json
import re
import subprocess
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("fetch")


@mcp.tool()
def fetch(url: str) -> dict:
    command = f"curl {url}"
    try:
        return json.loads(read(url))
    except ValueError:
        subprocess.run(command, shell=True)  # BAD command-injection
        raise
    finally:
        subprocess.run(f"rm {url}", shell=True)  # BAD command-injection


@mcp.tool()
def checked(name: str) -> str:
    try:
        if not re.fullmatch("[a-z]+", name):
            raise ValueError(name)
    except ValueError:
        return "no"
    return subprocess.run(f"show {name}", shell=True).stdout


@mcp.tool()
def never(name: str) -> str:
    try:
        return "yes"
    except ValueError:
        return "no"
    subprocess.run(f"show {name}", shell=True)
