import ast
import asyncio
import functools
import ipaddress
import os
import re
import shlex
import socket
import sqlite3
import subprocess
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlparse

import httpx
import sqlglot
import yaml
from mcp.server.fastmcp import FastMCP
from pydantic import BaseModel, Field, field_validator

mcp = FastMCP("guards")
BASE = Path("/data").resolve()
TABLES = frozenset({"hotels", "rooms"})
COMMANDS = {"up": "uptime", "who": "whoami"}
UNSAFE = re.compile(r"[;&|`$<>\n]")
WORD = re.compile(r"[A-Za-z0-9_.-]+")
ALLOWED_HOSTS = ["api.example.com", "docs.example.com"]


class Mode(str, Enum):
    fast = "fast"
    slow = "slow"


Sort = Literal["asc", "desc"]


class Query(BaseModel):
    name: str = Field(pattern=r"^[a-z_]+$")
    mode: Mode
    sort: Sort
    host: str

    @field_validator("host")
    @classmethod
    def host_is_known(cls, value):
        if value not in ALLOWED_HOSTS:
            raise ValueError(value)
        return value


def inside(name: str) -> Path:
    path = (BASE / name).resolve()
    if not path.is_relative_to(BASE):
        raise ValueError("outside")
    return path


def below(name: str) -> str:
    full = os.path.realpath(os.path.join("/data", name))
    if os.path.commonpath(["/data", full]) != "/data":
        raise PermissionError(name)
    return full


def confirm_ref(ref: str) -> None:
    if ref.startswith("-"):
        raise ValueError("a reference does not begin with a dash")


def reject_words(name: str) -> str | None:
    if not WORD.fullmatch(name):
        return "not a name"
    return None


def public_only(url: str) -> str:
    host = urlparse(url).hostname
    for info in socket.getaddrinfo(host, None):
        address = ipaddress.ip_address(info[4][0])
        if address.is_private or address.is_loopback or address.is_link_local:
            raise ValueError("not a public address")
    return url


def quote_ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def validates_table(function):
    @functools.wraps(function)
    def wrapped(table: str):
        if table not in TABLES:
            raise ValueError(table)
        return function(table)

    return wrapped


@mcp.tool()
def table_of_a_set(table: str) -> str:
    if table not in TABLES:
        return "unknown table"
    return str(sqlite3.connect("/data/x.db").execute(f"SELECT * FROM {table}").fetchall())


@mcp.tool()
def table_that_is_asserted(table: str) -> str:
    assert table in TABLES, "unknown table"
    return str(sqlite3.connect("/data/x.db").execute(f"SELECT * FROM {table}").fetchall())


@mcp.tool()
def command_of_a_table(name: str) -> str:
    command = COMMANDS.get(name)
    if command is None:
        raise ValueError(name)
    return subprocess.check_output(command, shell=True, text=True)


@mcp.tool()
def command_by_index(name: str) -> str:
    return subprocess.check_output(COMMANDS[name], shell=True, text=True)


@mcp.tool()
def choice_of_an_enum(mode: Mode, sort: Sort) -> str:
    return os.popen(f"sort --{mode} {sort} /data/list").read()


@mcp.tool()
def made_an_enum(mode: str) -> str:
    kind = Mode(mode)
    return os.popen(f"run {kind.value}").read()


@mcp.tool()
def by_model(query: Query) -> str:
    return os.popen(f"find {query.name} {query.mode} {query.sort}").read()


@mcp.tool()
def bounded_by_annotation(name: Annotated[str, Field(pattern="^[a-z]+$")]) -> str:
    return os.popen(f"find {name}").read()


@mcp.tool()
def bounded_by_default(name: str = Field(default="a", pattern=r"^[a-z]+$")) -> str:
    return os.popen(f"find {name}").read()


@mcp.tool()
def each_is_quoted(names: list[str]) -> str:
    line = " ".join(shlex.quote(name) for name in names)
    return os.popen(f"ls {line}").read()


@mcp.tool()
def quoted_first(name: str) -> str:
    safe = shlex.quote(name)
    command = f"grep {safe} /data/list"
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout


@mcp.tool()
def dashes_end(ref: str) -> str:
    return subprocess.run(["git", "show", "--", ref], capture_output=True, text=True).stdout


@mcp.tool()
def dash_is_refused_by_a_helper(ref: str) -> str:
    confirm_ref(ref)
    return subprocess.run(["git", "show", ref], capture_output=True, text=True).stdout


@mcp.tool()
def word_is_refused_by_a_helper(name: str) -> str:
    error = reject_words(name)
    if error:
        return error
    return os.popen(f"ls {name}").read()


@mcp.tool()
def first_letter(ref: str) -> str:
    if ref[0] == "-":
        raise ValueError(ref)
    return subprocess.run(["git", "show", ref], capture_output=True, text=True).stdout


@mcp.tool()
def letters_are_refused(name: str) -> str:
    if UNSAFE.search(name):
        raise ValueError(name)
    return os.popen(f"ls {name}").read()


@mcp.tool()
def any_letter_is_refused(name: str) -> str:
    if any(letter in name for letter in [";", "&", "|", "`", "$", "\n"]):
        raise ValueError(name)
    return os.popen(f"ls {name}").read()


@mcp.tool()
def word_is_alphanumeric(name: str) -> str:
    if not name.isalnum():
        raise ValueError(name)
    return os.popen(f"ls {name}").read()


@mcp.tool()
def table_is_an_identifier(table: str) -> str:
    if not table.isidentifier():
        raise ValueError(table)
    return str(sqlite3.connect("/data/x.db").execute(f"SELECT * FROM {table}").fetchall())


@mcp.tool()
def path_of_a_helper(name: str) -> str:
    return inside(name).read_text()


@mcp.tool()
def text_of_a_helper(name: str) -> str:
    with open(below(name)) as file:
        return file.read()


@mcp.tool()
def path_is_tried(name: str) -> str:
    path = (BASE / name).resolve()
    try:
        path.relative_to(BASE)
    except ValueError:
        return "outside"
    return path.read_text()


@mcp.tool()
def parents_hold_it(name: str) -> str:
    path = (BASE / name).resolve()
    if BASE not in path.parents:
        raise ValueError(name)
    return path.read_text()


@mcp.tool()
def text_begins_with_the_folder(name: str) -> str:
    path = os.path.abspath(os.path.join("/data", name))
    if not path.startswith("/data" + os.sep):
        raise ValueError(name)
    with open(path) as file:
        return file.read()


@mcp.tool()
def last_part_alone(name: str) -> str:
    return (BASE / Path(name).name).read_text()


@mcp.tool()
def has_no_separator(name: str) -> str:
    if "/" in name or "\\" in name or ".." in name:
        raise ValueError(name)
    return (BASE / f"{name}.txt").read_text()


@mcp.tool()
async def address_of_a_helper(url: str) -> str:
    checked = public_only(url)
    async with httpx.AsyncClient() as client:
        return str((await client.get(checked)).status_code)


@mcp.tool()
async def host_of_a_list(url: str) -> str:
    parsed = urlparse(url)
    if parsed.scheme != "https" or parsed.hostname not in ALLOWED_HOSTS:
        raise ValueError(url)
    async with httpx.AsyncClient() as client:
        return str((await client.get(url)).status_code)


@mcp.tool()
async def host_is_looked_up(url: str) -> str:
    host = urlparse(url).hostname or ""
    address = ipaddress.ip_address(socket.gethostbyname(host))
    if not address.is_global:
        raise ValueError(url)
    async with httpx.AsyncClient() as client:
        return str((await client.get(url)).status_code)


@mcp.tool()
def parameters(name: str) -> str:
    return str(sqlite3.connect("/data/x.db").execute("SELECT * FROM t WHERE n = ?", (name,)))


@mcp.tool()
def quoted_name(table: str) -> str:
    return str(sqlite3.connect("/data/x.db").execute(f"SELECT * FROM {quote_ident(table)}"))


@mcp.tool()
def columns_of_a_table(columns: list[str]) -> str:
    for column in columns:
        if column not in TABLES:
            raise ValueError(column)
    return str(sqlite3.connect("/data/x.db").execute(f"SELECT {', '.join(columns)} FROM t"))


@mcp.tool()
@validates_table
def checked_by_a_decorator(table: str) -> str:
    return str(sqlite3.connect("/data/x.db").execute(f"SELECT * FROM {table}"))


@mcp.tool()
def data_only(text: str) -> str:
    return str(ast.literal_eval(text)) + str(yaml.safe_load(text))


@mcp.tool()
async def list_of_arguments(name: str) -> str:
    process = await asyncio.create_subprocess_exec("echo", name, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()


@mcp.tool()
def known_program(name: str) -> str:
    programs = {"list": ["ls", "-l"], "time": ["date"]}
    if name not in programs:
        raise ValueError(name)
    return subprocess.run(programs[name], capture_output=True, text=True).stdout


@mcp.tool()
def switch(kind: str) -> str:
    if kind == "a":
        path = "/data/a"
    elif kind == "b":
        path = "/data/b"
    else:
        raise ValueError(kind)
    with open(path) as file:
        return file.read()


@mcp.tool()
def matched(kind: str) -> str:
    match kind:
        case "up" | "who":
            return os.popen(kind).read()
        case _:
            return "unknown"


@mcp.tool()
def number_first(pid: str) -> str:
    number = int(pid)
    return os.popen(f"ps {number}").read()


@mcp.tool()
def digits(pid: str) -> str:
    if not pid.isdigit():
        return "not a number"
    return os.popen(f"ps {pid}").read()


@mcp.tool()
def replaced(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return (BASE / f"{safe}.txt").read_text()


@mcp.tool()
def kept_letters(name: str) -> str:
    safe = "".join(letter for letter in name if letter.isalnum() or letter in "-_")
    return (BASE / safe).read_text()
