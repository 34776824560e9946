import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import pg from "pg";
import { z } from "zod";

const pool = new pg.Pool();
const server = new McpServer({ name: "guests", version: "1.0.0" });

async function ask(statement: string, values: unknown[] = []) {
  const answer = await pool.query(statement, values);
  return { content: [{ type: "text" as const, text: JSON.stringify(answer.rows.length) }] };
}

server.tool("count_guests", { city: z.string() }, async ({ city }) =>
  ask(`SELECT id FROM guests WHERE city = '${city}'`), // BAD sql-injection
);

server.tool("count_by_name", { name: z.string() }, async ({ name }) =>
  ask("SELECT id FROM guests WHERE name = $1", [name]),
);
