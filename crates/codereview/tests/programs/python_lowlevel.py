import asyncio
import subprocess
from mcp.server import Server

app = Server("git")


@app.call_tool()
async def call_tool(name: str, arguments: dict):
    if name == "blame":
        return await blame(arguments["path"], arguments.get("rev", "HEAD"))
    if name == "size":
        return size(arguments["folder"])


async def blame(path, rev):
    proc = await asyncio.create_subprocess_shell(  # BAD command-injection
        f"git blame {rev} -- {path}", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await proc.communicate()
    return out.decode()


def size(folder):
    command = "du -sh %s" % folder
    return subprocess.check_output(command, shell=True, text=True)  # BAD command-injection
