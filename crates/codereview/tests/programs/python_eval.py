import ast
import pickle
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("calc")


@mcp.tool()
def calculate(expression: str) -> str:
    return str(eval(expression, {"__builtins__": {}}))  # BAD code-injection


@mcp.tool()
def literal(expression: str) -> str:
    return str(ast.literal_eval(expression))


@mcp.tool()
def run_code(code: str) -> str:
    compiled = compile(code, "<x>", "exec")  # BAD code-injection
    space = {}
    exec(compiled, space)  # BAD code-injection
    return str(space)
