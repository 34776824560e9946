import sqlite3
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("db")


class Db:
    def __init__(self, path):
        self.path = path

    def _execute(self, query, params=None):
        with sqlite3.connect(self.path) as conn:
            cursor = conn.cursor()
            cursor.execute(query, params or ())
            return cursor.fetchall()


db = Db("x.db")


@mcp.tool()
def describe(table: str) -> str:
    return str(db._execute(f"PRAGMA table_info({table})"))  # BAD sql-injection


@mcp.tool()
def one(key: str) -> str:
    return str(db._execute("SELECT * FROM t WHERE key = ?", (key,)))
