import fs from "fs/promises";
import path from "path";
const ROOT = process.env.ROOT ?? "/data";
server.registerTool("read_note", { inputSchema: { name: z.string() } }, async ({ name }) => {
  const file = path.join(ROOT, `${name}.md`);
  return { content: [{ type: "text", text: await fs.readFile(file, "utf8") }] }; // BAD path-traversal
});
server.registerTool("save_note", { inputSchema: { name: z.string() } }, async (input) => {
  const file = path.resolve(ROOT, input.name);
  await fs.writeFile(file, "x"); // BAD path-traversal
  return { content: [] };
});
server.registerTool("safe_note", { inputSchema: { name: z.string() } }, async (input) => {
  const file = path.resolve(ROOT, input.name);
  const relative = path.relative(ROOT, file);
  if (relative.startsWith("..") || path.isAbsolute(relative)) {
    throw new Error("outside");
  }
  return fs.readFile(file, "utf8");
});
