import open from "open";
import { exec } from "child_process";
export async function authorize(server: string) {
  const response = await fetch(`${server}/.well-known/oauth-authorization-server`); // BAD ssrf
  const metadata = await response.json();
  const url = new URL(metadata.authorization_endpoint);
  await open(url.toString()); // BAD command-injection
}
export function start(url: string) {
  exec(`xdg-open "${url}"`); // BAD command-injection
}
