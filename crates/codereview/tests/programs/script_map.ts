import Database from "better-sqlite3";
import axios from "axios";
const db = new Database("x.db");
server.tool("find", { words: z.array(z.string()) }, async ({ words }) => {
  const conditions = words.map(() => "name LIKE ?").join(" OR ");
  const parameters = words.map((word) => `%${word}%`);
  return db.prepare(`SELECT * FROM t WHERE ${conditions}`).all(...parameters);
});
server.tool("order", { columns: z.array(z.string()) }, async ({ columns }) => {
  const order = columns.map((column) => `${column} ASC`).join(", ");
  return db.prepare(`SELECT * FROM t ORDER BY ${order}`).all(); // BAD sql-injection
});
server.tool("send", { text: z.string() }, async ({ text }) => {
  return axios.request({ url: "https://api.example.com/v1/send", method: "POST", data: { text } });
});
