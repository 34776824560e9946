import os
import re
import shlex
import subprocess
import requests
from mcp.server.fastmcp import FastMCP
from pathlib import Path
from urllib.parse import urlparse

mcp = FastMCP("weak")

@mcp.tool()
def fetch(url: str) -> str:
    parsed = urlparse(url)
    if parsed.scheme not in ("http", "https"):
        raise ValueError(url)
    return str(requests.get(url, timeout=3).status_code)  # BAD ssrf

@mcp.tool()
def read(name: str) -> str:
    full = Path("/data") / name
    if not full.suffix == ".md":
        raise ValueError(name)
    return full.read_text()  # BAD path-traversal

@mcp.tool()
def fetch2(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(url)
    return str(requests.get(url, timeout=3).status_code)  # BAD ssrf

@mcp.tool()
def fetch3(url: str) -> str:
    parsed = urlparse(url)
    if not parsed.scheme or not parsed.netloc:
        raise ValueError(url)
    return str(requests.get(url, timeout=3).status_code)  # BAD ssrf

@mcp.tool()
def read3(name: str) -> str:
    full = os.path.join("/data", name)
    if not os.path.exists(full):
        raise ValueError(name)
    if not full.endswith(".md"):
        raise ValueError(name)
    return open(full).read()  # BAD path-traversal

@mcp.tool()
def read4(name: str) -> str:
    name = name.strip().lower()
    if len(name) > 100 or name == "":
        raise ValueError(name)
    return open("/data/" + name).read()  # BAD path-traversal

@mcp.tool()
def run(command: str) -> str:
    if "rm" in command:
        raise ValueError(command)
    for word in ["sudo", "shutdown"]:
        if word in command:
            raise ValueError(command)
    return os.popen(command).read()  # BAD command-injection

@mcp.tool()
def run2(command: str) -> str:
    parts = command.split()
    if parts[0] not in ("ls", "cat"):
        raise ValueError(command)
    return os.popen(command).read()  # BAD command-injection

@mcp.tool()
def run3(kind: str, command: str) -> str:
    if kind not in ("a", "b"):
        raise ValueError(kind)
    if not isinstance(command, str):
        raise ValueError(command)
    return os.popen(command).read()  # BAD command-injection

def has_text(value):
    if not value:
        raise ValueError("empty")
    return True

@mcp.tool()
def run4(command: str) -> str:
    has_text(command)
    if has_text(command):
        return os.popen(command).read()  # BAD command-injection

def ok(value):
    if value == "":
        return False
    return True

@mcp.tool()
def run5(command: str) -> str:
    if not ok(command):
        raise ValueError(command)
    return os.popen(command).read()  # BAD command-injection

@mcp.tool()
def run6(names: list[str]) -> str:
    for name in names:
        if name in ("a", "b"):
            break
    return os.popen(" ".join(names)).read()  # BAD command-injection

@mcp.tool()
def run7(names: list[str]) -> str:
    for name in names:
        if name in ("a", "b"):
            continue
        print(name)
    return os.popen(" ".join(names)).read()  # BAD command-injection

@mcp.tool()
def run8(kind: str) -> str:
    match kind:
        case "up" | "who":
            pass
        case other:
            return os.popen(kind).read()  # BAD command-injection

@mcp.tool()
def run9(name: str) -> str:
    if re.match(r"[a-z]+", name):
        return os.popen(f"ls {name}").read()  # BAD command-injection

@mcp.tool()
def run10(name: str) -> str:
    safe = re.sub(r"[;&]", "", name)
    return os.popen(f"ls {safe}").read()  # BAD command-injection


PROGRAMS = ("helm", "kubectl")


def validate_command(line):
    words = shlex.split(line)
    if not words or words[0] not in PROGRAMS:
        raise ValueError("only helm and kubectl")
    if len(words) < 2:
        raise ValueError("a verb is missing")


@mcp.tool()
def in_a_shell(line: str) -> str:
    """Runs one of the programs, and whatever else the shell finds behind it."""
    validate_command(line)
    return subprocess.run(line, shell=True, capture_output=True, text=True).stdout  # BAD command-injection


@mcp.tool()
def in_a_shell_at_once(line: str) -> str:
    """Runs one of the programs, and whatever else the shell finds behind it."""
    if line.split()[0] not in PROGRAMS:
        raise ValueError("only helm and kubectl")
    return subprocess.run(line, shell=True, capture_output=True, text=True).stdout  # BAD command-injection


@mcp.tool()
def as_a_program(line: str) -> str:
    """Runs one of the programs."""
    validate_command(line)
    return subprocess.run(shlex.split(line), capture_output=True, text=True).stdout


@mcp.tool()
def as_words(line: str) -> str:
    """Runs one of the programs."""
    words = shlex.split(line)
    if words[0] not in PROGRAMS:
        raise ValueError("only helm and kubectl")
    return subprocess.run(words, capture_output=True, text=True).stdout
