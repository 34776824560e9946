import os
import re
import shlex
import subprocess
from pathlib import Path
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("safe")
ROOT = Path("/data").resolve()
NAME = re.compile(r"^[a-z0-9_-]+$")
ALLOWED = {"status", "log"}


@mcp.tool()
def git(sub: str, ref: str) -> str:
    if sub not in ALLOWED:
        raise ValueError(sub)
    if ref.startswith("-"):
        raise ValueError(ref)
    return subprocess.run(["git", sub, ref], capture_output=True, text=True).stdout


@mcp.tool()
def read(name: str) -> str:
    path = (ROOT / name).resolve()
    if not path.is_relative_to(ROOT):
        raise ValueError(name)
    return path.read_text()


@mcp.tool()
def read_two(name: str) -> str:
    path = (ROOT / name).resolve()
    try:
        path.relative_to(ROOT)
    except ValueError:
        raise ValueError("outside")
    return path.read_text()


@mcp.tool()
def read_three(name: str) -> str:
    base = os.path.realpath("/data")
    path = os.path.realpath(os.path.join(base, name))
    if os.path.commonpath([base, path]) != base:
        raise ValueError("outside")
    with open(path) as file:
        return file.read()


@mcp.tool()
def read_four(name: str) -> str:
    if not NAME.match(name):
        raise ValueError(name)
    return open("/data/" + name).read()


@mcp.tool()
def shell(path: str) -> str:
    return subprocess.check_output(f"ls {shlex.quote(path)}", shell=True, text=True)


@mcp.tool()
def listing(pod: str, namespace: str = "default") -> str:
    return subprocess.run(["kubectl", "get", "pods", "-n", namespace, "--", pod], capture_output=True).stdout
