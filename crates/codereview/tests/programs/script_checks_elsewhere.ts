import { execSync } from "child_process";
import { z } from "zod";

const KNOWN = new Set(["left", "right"]);
const known = (name: string) => KNOWN.has(name);
function look(name: string) {
  if (!/^[a-z]+$/.test(name)) return { ok: false, why: "letters" };
  return { ok: true };
}
const fits = (name: string) => name.match(/^[a-z0-9@/._-]+$/i) !== null;
const isValidName = (name: string) => name.startsWith("http");

server.tool("one", { name: z.string() }, async ({ name }) => {
  if (!known(name)) return { content: [] };
  return execSync(`npm view ${name}`).toString();
});
server.tool("two", { name: z.string() }, async ({ name }) => {
  const looked = look(name);
  if (!looked.ok) return { content: [] };
  return execSync(`npm view ${name}`).toString();
});
server.tool("three", { name: z.string() }, async ({ name }) => {
  if (!fits(name)) throw new Error("no");
  return execSync(`npm view ${name}`).toString();
});
server.tool("four", { name: z.string().refine((text) => /^[a-z]+$/.test(text)) }, async ({ name }) => {
  return execSync(`npm view ${name}`).toString();
});
server.tool("five", { name: z.string() }, async ({ name }) => {
  if (!isValidName(name)) throw new Error("no");
  return execSync(`npm view ${name}`).toString(); // BAD command-injection
});

const HOST = /^https?:\/\/(www\.)?data\.example/i;
const isValidServer = (url: string) => HOST.test(url);
server.tool("six", { url: z.string() }, async ({ url }) => {
  if (!isValidServer(url)) throw new Error("no");
  return (await fetch(`${url}/list`)).status; // BAD ssrf
});

import fs from "fs";
import path from "path";
server.tool("seven", { action: z.string(), folder: z.string().optional(), file: z.string() }, async ({ action, folder, file }) => {
  const hasUnsafePart = (text: string) => text.split("/").some((part) => part === "..");
  if (action === "save") {
    if (folder && (hasUnsafePart(folder) || path.isAbsolute(folder))) throw new Error("no");
  }
  await connect();
  if (action === "save") {
    fs.mkdirSync(folder);
  }
  fs.mkdirSync(file); // BAD path-traversal
  return { content: [] };
});
