import { execFile, exec } from "child_process";
import { promisify } from "util";
const run = promisify(execFile);
const UDID = /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/i;
server.tool("tap", { udid: z.string().regex(UDID), x: z.number() }, async ({ udid, x }) => {
  const { stdout } = await run("idb", ["ui", "tap", "--udid", udid, "--json", "--", String(x)]);
  return { content: [{ type: "text", text: stdout }] };
});
server.tool("boot", { name: z.string() }, async ({ name }) => {
  if (!/^[a-z0-9-]+$/.test(name)) {
    throw new Error("bad name");
  }
  exec(`xcrun simctl boot ${name}`);
});
server.tool("mode", { mode: z.enum(["light", "dark"]) }, async ({ mode }) => exec(`simctl ui ${mode}`));
