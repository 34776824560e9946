import subprocess
from dataclasses import dataclass
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("k8s")


@dataclass
class ShellProcess:
    command: str = "/bin/bash"

    def run(self, args):
        if isinstance(args, str):
            args = [args]
        commands = ";".join(args)
        return self.exec(commands)

    def exec(self, commands):
        return subprocess.run(commands, shell=True, capture_output=True).stdout.decode()  # BAD command-injection


async def kubectl(command: str) -> str:
    process = ShellProcess(command="kubectl")
    return process.run(command)


async def helm(command: str) -> str:
    return subprocess.run(["helm", "version"], capture_output=True).stdout.decode()


mcp.tool("kubectl")(kubectl)
mcp.add_tool(helm)
