import * as fs from "node:fs";
import * as path from "node:path";
function isInside(root: string, file: string): boolean {
  const relative = path.relative(root, file);
  return !relative.startsWith("..") && !path.isAbsolute(relative);
}
export function resolveInside(root: string, name: string): string {
  const full = path.resolve(root, name);
  if (full !== root && !full.startsWith(root + path.sep)) {
    throw new Error("outside");
  }
  return full;
}
server.tool("one", { name: z.string() }, async ({ name }) => {
  return fs.readFileSync(resolveInside("/data", name), "utf8");
});
server.tool("two", { name: z.string() }, async ({ name }) => {
  const full = path.resolve("/data", name);
  if (!isInside("/data", full)) throw new Error("outside");
  return fs.readFileSync(full, "utf8");
});
