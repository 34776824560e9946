import { execFileSync, execSync } from "child_process";
const tools: Tool[] = [
  {
    name: "scale",
    description: "Scales a deployment.",
    inputSchema: { type: "object" },
    handler: async (input: { name: string; replicas: number }) => {
      return execSync(`kubectl scale deployment ${input.name} --replicas=${input.replicas}`); // BAD command-injection
    },
  },
];
export async function rollout(input: { name: string }): Promise<string> {
  return execFileSync("kubectl", ["rollout", "status", "--", input.name], { encoding: "utf8" });
}
