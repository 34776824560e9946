import { execSync } from "child_process";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "plots", version: "1" });
const Point = z.object({ x: z.number(), label: z.string() });
const Options = z.object({ limit: z.number().int().default(5), level: z.enum(["low", "high"]), note: z.string() }).optional();

server.registerTool(
  "plot",
  { inputSchema: { ids: z.array(z.number()).min(1), points: z.array(Point), options: Options, tags: z.array(z.string()) } },
  async ({ ids, points, options, tags }) => {
    execSync(`plot --ids ${ids.join(",")}`);
    execSync(`plot --limit ${options.limit} --level ${options.level}`);
    execSync(`plot --note ${options.note}`); // BAD command-injection
    for (const point of points) {
      execSync(`plot --at ${point.x}`);
      execSync(`plot --label ${point.label}`); // BAD command-injection
    }
    execSync(`plot --all ${points.map((point) => point.x).join(" ")}`);
    return execSync(`plot --tags ${tags.join(",")}`).toString(); // BAD command-injection
  },
);

server.addTool({
  name: "crop",
  description: "Crops a picture of the gallery",
  parameters: {
    type: "object",
    properties: {
      box: { type: "object", properties: { width: { type: "integer" }, unit: { type: "string", enum: ["px", "pt"] }, title: { type: "string" } } },
      corners: { type: "array", items: { type: "number" } },
    },
  },
  execute: async (args) => {
    execSync(`crop ${args.box.width}${args.box.unit} ${args.corners.join(" ")}`);
    return execSync(`crop --title ${args.box.title}`).toString(); // BAD command-injection
  },
});
