import { exec } from "child_process";
import { promisify } from "util";
const execAsync = promisify(exec);
server.setRequestHandler(CallToolRequestSchema, async (request) => {
  const { name, arguments: args } = request.params;
  switch (name) {
    case "search": {
      const parts = ["grep", "-r"];
      parts.push(String(args.pattern));
      const { stdout } = await execAsync(parts.join(" ")); // BAD command-injection
      return { content: [{ type: "text", text: stdout }] };
    }
    case "version":
      return execAsync("grep --version");
  }
});
