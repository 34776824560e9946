"""Drives an MCP endpoint with the official Python SDK, in both eras.

Usage: client.py fixture|travel URL

Prints a line for each check and, last, how many passed and failed.
"""

import asyncio
import datetime
import sys
from typing import Any, Awaitable, Callable

import mcp_types as types
from mcp import Client

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28"}


async def ask(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Answers every question of a server."""
    return types.ElicitResult(action="accept", content={"name": "Ada", "username": "ada", "email": "ada@example.com"})


def expect(condition: bool, seen: object) -> None:
    if not condition:
        raise AssertionError(f"unexpected: {seen!r}")


def text(result: types.CallToolResult) -> str:
    return "".join(block.text for block in result.content if block.type == "text")


async def lists_its_tools(client: Client, kind: str) -> None:
    names = [tool.name for tool in (await client.list_tools()).tools]
    wanted = {"fixture": "test_simple_text", "travel": "search_hotels"}[kind]
    expect(wanted in names, names)


async def calls_a_tool(client: Client, kind: str) -> None:
    if kind == "fixture":
        result = await client.call_tool("greet", {"name": "Zoë"})
        expect(text(result) == "Hello, Zoë!", result)
        return
    day = datetime.date.today() + datetime.timedelta(days=30)
    stay = {"place": "Boston", "check_in": str(day), "check_out": str(day + datetime.timedelta(days=2))}
    result = await client.call_tool("search_hotels", stay)
    expect(not result.is_error and bool(result.structured_content), result)
    expect("Boston" in text(result), result)


async def tool_error_is_a_result(client: Client, kind: str) -> None:
    if kind == "fixture":
        result = await client.call_tool("test_error_handling", {})
    else:
        result = await client.call_tool("search_hotels", {"place": "Boston", "check_in": "2020-01-01", "check_out": "2020-01-02"})
    expect(bool(result.is_error), result)


async def progress_arrives(client: Client, kind: str) -> None:
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    await client.call_tool("test_tool_with_progress", {}, progress_callback=on_progress)
    expect(seen == [0.0, 50.0, 100.0], seen)


async def question_is_answered(client: Client, kind: str) -> None:
    if client.protocol_version == ERAS["legacy"]:
        result = await client.call_tool("test_elicitation", {"message": "Who are you?"})
    else:
        result = await client.call_tool("test_input_required_result_elicitation", {})
    expect("ada" in text(result).lower(), result)


async def resource_is_read(client: Client, kind: str) -> None:
    result = await client.read_resource("test://static-text")
    expect("static text resource" in result.contents[0].text, result)


async def prompt_is_rendered(client: Client, kind: str) -> None:
    result = await client.get_prompt("test_prompt_with_arguments", {"arg1": "one", "arg2": "two"})
    expect("arg2='two'" in result.messages[0].content.text, result)


Check = Callable[[Client, str], Awaitable[None]]
CHECKS: dict[str, list[Check]] = {
    "travel": [lists_its_tools, calls_a_tool, tool_error_is_a_result],
    "fixture": [
        lists_its_tools,
        calls_a_tool,
        tool_error_is_a_result,
        progress_arrives,
        question_is_answered,
        resource_is_read,
        prompt_is_rendered,
    ],
}


async def main(kind: str, url: str) -> int:
    passed = failed = 0
    for mode, version in ERAS.items():
        for check in CHECKS[kind]:
            name = f"python {version} {check.__name__}"
            try:
                async with asyncio.timeout(30):
                    async with Client(url, mode=mode, elicitation_callback=ask) as client:
                        expect(client.protocol_version == version, client.protocol_version)
                        await check(client, kind)
                print(f"ok    {name}")
                passed += 1
            except Exception as problem:  # every kind of failure is counted and shown
                print(f"FAILED {name}: {problem!r}")
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2])))
