import fs from "fs/promises";
async function request(url: string) {
  return (await fetch(url)).json(); // BAD path-traversal
}
async function contents(owner: string, path: string, branch?: string) {
  let url = `https://api.example.com/repos/${owner}/contents/${path}`;
  if (branch) {
    url += `?ref=${branch}`;
  }
  return request(url);
}
server.setRequestHandler(CallToolRequestSchema, async (request, extra) => {
  const args = request.params.arguments;
  return contents(args.owner, args.path, args.branch);
});
const tool = {
  name: "search",
  description: "Searches.",
  async handler(params, context$1) {
    const host = context$1.url || "https://example.com";
    return request(new URL("/api/search", host).toString());
  },
};
async function load(source: string) {
  if (isUrl(source)) {
    return fetch(source); // BAD ssrf
  }
  return fs.readFile(source); // BAD path-traversal
}
server.tool("load", { source: z.string() }, async ({ source }) => {
  await load(source);
  return { content: [] };
});
