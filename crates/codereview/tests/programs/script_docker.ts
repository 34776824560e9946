import { execSync } from "child_process";
import { z } from "zod";
export const argSchema = { container_id: z.string(), commands: z.array(z.string()).min(1) };
export default async function exec({ container_id, commands }: { container_id: string; commands: string[] }) {
  const output: string[] = [];
  for (const cmd of commands) {
    output.push(execSync(`docker exec ${container_id} /bin/sh -c ${JSON.stringify(cmd)}`, { encoding: "utf8" })); // BAD command-injection
  }
  return { content: [{ type: "text", text: output.join("\n") }] };
}
