import { exec } from "child_process";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { promisify } from "util";
import { z } from "zod";

const execAsync = promisify(exec);
const server = new McpServer({ name: "fetch", version: "1" });

server.registerTool("fetch", { inputSchema: { url: z.string() } }, async ({ url }) => {
  let command = "curl";
  try {
    command += ` ${url}`;
    return await direct(command);
  } catch (problem) {
    const { stdout } = await execAsync(command); // BAD command-injection
    return stdout;
  }
});

server.registerTool("after", { inputSchema: { url: z.string() } }, async ({ url }) => {
  try {
    return await direct("a");
  } catch (problem) {
    console.error("no");
  }
  return (await execAsync(`curl ${url}`)).stdout; // BAD command-injection
});
