import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { execSync } from "node:child_process";
class SimulatorServer {
  private server: Server;
  constructor() {
    this.server = new Server({ name: "sim", version: "1.0.0" }, { capabilities: { tools: {} } });
    this.setup();
  }
  private setup() {
    this.server.setRequestHandler(CallToolRequestSchema, async (request) => {
      switch (request.params.name) {
        case "tap":
          return await this.tap(request.params.arguments);
        case "install":
          return await this.install(request.params.arguments?.path as string);
        default:
          throw new Error("unknown tool");
      }
    });
  }
  private async tap(args: any) {
    const { x, y, udid } = args;
    execSync(`idb ui tap --udid ${udid} ${Number(x)} ${Number(y)}`); // BAD command-injection
    return { content: [] };
  }
  private async install(path: string) {
    const output = execSync('xcrun simctl install booted "' + path + '"').toString(); // BAD command-injection
    return { content: [{ type: "text", text: output }] };
  }
}
