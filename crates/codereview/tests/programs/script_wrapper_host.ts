const BASE = "https://api.example.com";
async function load(url: string) {
  return fetch(url); // BAD path-traversal
}
async function query(text: string, parameters: unknown[]) {
  return pool.query(text, parameters);
}
server.tool("weather", { city: z.string() }, async ({ city }) => load(`${BASE}/v1/${city}`));
server.tool("one", { id: z.string() }, async ({ id }) => query("SELECT * FROM t WHERE id = $1", [id]));
server.tool("run", { name: z.string() }, async ({ name }) => runner.execute(`job ${name}`));
