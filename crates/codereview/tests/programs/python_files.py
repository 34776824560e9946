import os
import shutil
from pathlib import Path
from fastmcp import FastMCP

mcp = FastMCP(name="files")
BASE = Path(os.environ.get("BASE", "."))


@mcp.tool
def read(name: str) -> str:
    return (BASE / name).read_text()  # BAD path-traversal


@mcp.tool
async def download(page_id: str, target: str) -> str:
    data = await client.attachment(page_id)
    os.makedirs(os.path.dirname(target), exist_ok=True)  # BAD path-traversal
    with open(target, "wb") as file:  # BAD path-traversal
        file.write(data)
    return target


@mcp.resource("notes://{name}")
def note(name: str) -> str:
    path = os.path.join("/notes", name)
    with open(path) as file:  # BAD path-traversal
        return file.read()


@mcp.tool
def remove(folder: str) -> str:
    shutil.rmtree(BASE.joinpath(folder))  # BAD path-traversal
    return "gone"
