import Database from "better-sqlite3";
const db = new Database("x.db");
server.tool("rows", { table: z.string(), id: z.number() }, async ({ table, id }) => {
  const rows = db.prepare(`SELECT * FROM ${table} WHERE id = ?`).all(id); // BAD sql-injection
  return { content: [{ type: "text", text: JSON.stringify(rows) }] };
});
export async function describe(pool: Pool, table: string) {
  return pool.query("DESCRIBE " + table); // BAD sql-injection
}
export async function one(pool: Pool, id: string) {
  return pool.query("SELECT * FROM t WHERE id = $1", [id]);
}
