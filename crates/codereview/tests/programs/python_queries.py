import sqlite3
from contextlib import closing

from mcp.server.fastmcp import FastMCP

mcp = FastMCP("guests")


def ask(statement, parameters=()):
    with closing(sqlite3.connect("guests.db")) as connection:
        return connection.execute(statement, parameters).fetchall()


def of_table(table):
    return ask(f"SELECT * FROM {table} LIMIT 10")  # BAD sql-injection


@mcp.tool()
def columns(table: str) -> list:
    """Lists the columns of a table."""
    return ask(f"PRAGMA table_info({table})")  # BAD sql-injection


@mcp.tool()
def first_rows(table: str) -> list:
    """Shows the first rows of a table."""
    return of_table(table)


@mcp.tool()
def guest(name: str) -> list:
    """Finds a guest."""
    return ask("SELECT id FROM guests WHERE name = ?", (name,))
