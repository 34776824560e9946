import axios from "axios";
class Fetcher {
  private static async load({ url, headers }: Request) {
    const response = await fetch(url, { headers: { "User-Agent": "x", ...headers } }); // BAD ssrf
    return response;
  }
  static async html(request: Request) {
    return (await this.load(request)).text();
  }
}
server.setRequestHandler(CallToolRequestSchema, async (request) => {
  const validated = RequestSchema.parse(request.params.arguments);
  if (request.params.name === "fetch_html") return Fetcher.html(validated); // BAD unmarked-content
  if (request.params.name === "api") return axios.get(`https://api.example.com/v1/${validated.id}`); // BAD path-traversal
});
