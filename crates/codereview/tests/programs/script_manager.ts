import { spawn } from "child_process";
import { z } from "zod";
const StartSchema = z.object({ command: z.string(), shell: z.string().optional() });
class Manager {
  private running = new Map();
  async start(command: string, shell?: string) {
    let use: string | boolean = shell ?? true;
    if (!shell) {
      use = (await config.load()).shell || true;
    }
    const options = { shell: use };
    const child = spawn(command, [], options); // BAD command-injection
    this.running.set(child.pid, child);
    return child.pid;
  }
}
export const manager = new Manager();
async function handleStart(args: unknown) {
  const parsed = StartSchema.safeParse(args);
  if (!parsed.success) {
    return { isError: true };
  }
  return manager.start(parsed.data.command, parsed.data.shell);
}
server.setRequestHandler(CallToolRequestSchema, async (request) => {
  switch (request.params.name) {
    case "start":
      return handleStart(request.params.arguments);
  }
});
