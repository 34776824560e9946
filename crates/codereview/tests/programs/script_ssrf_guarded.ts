import dns from "dns/promises";
const HOSTS = new Set(["api.example.com"]);
async function assertPublic(url: string) {
  const parsed = new URL(url);
  const { address } = await dns.lookup(parsed.hostname);
  if (isPrivate(address)) throw new Error("private");
}
server.tool("fetch", { url: z.string().url() }, async ({ url }) => {
  await assertPublic(url);
  const response = await fetch(url, { redirect: "manual" });
  return { content: [{ type: "text", text: wrapAsData(await response.text()) }] };
});
server.tool("fetch2", { url: z.string().url() }, async ({ url }) => {
  const parsed = new URL(url);
  if (!HOSTS.has(parsed.hostname)) {
    throw new Error("not allowed");
  }
  await fetch(parsed);
  return { content: [] };
});
