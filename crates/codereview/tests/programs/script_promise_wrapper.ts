import { exec as execCallback } from "child_process";
function runCommand(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execCallback(command, { maxBuffer: 1024 }, (error, stdout) => { // BAD command-injection
      if (error) reject(error);
      else resolve(stdout);
    });
  });
}
export function registerTools(server: McpServer) {
  server.registerTool("describe", { inputSchema: { name: z.string() } }, async ({ name }) => {
    const text = await runCommand(`npm view ${name} --json`);
    return { content: [{ type: "text", text }] };
  });
}
