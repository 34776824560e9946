// An identity provider that we did not write: npm's oidc-provider, a certified OpenID
// provider, on a free port of the loopback address, with everything on that tests need.
//
// Usage: node provider.mjs CLIENTS.json
//
// CLIENTS.json is a list of clients as in OpenID Connect Dynamic Client Registration.
// Tokens are JWTs (RFC 9068) for the resource that was asked for; those of clients whose
// id begins with `opaque` have no content. `POST /rotate` replaces the signing key.
// Whoever is asked to sign in is `ann` and consents.
//
// Prints `ready: ISSUER` when it listens.

import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

// The packages are in a folder of the tests, not beside this file.
const packages = path.join(process.env.AIRSIDE_TEST_IDP, "index.js");
const entry = createRequire(packages).resolve("oidc-provider");
const { Provider } = await import(pathToFileURL(entry));

const clients = JSON.parse(readFileSync(process.argv[2]));
let keys = 0;

function configuration() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  keys += 1;
  const key = { ...privateKey.export({ format: "jwk" }), kid: `key-${keys}`, alg: "ES256", use: "sig" };
  return {
    clients,
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clientAuthMethods: ["none", "client_secret_basic", "private_key_jwt"],
    cookies: { keys: ["of tests only"] },
    jwks: { keys: [key] },
    pkce: { required: () => true },
    responseTypes: ["code"],
    scopes: ["mcp", "hotels.book"],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    ttl: {
      AccessToken: 300,
      AuthorizationCode: 60,
      ClientCredentials: 300,
      Grant: 3600,
      Interaction: 60,
      Session: 3600,
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (_, client) => client.clientId === "gateway",
      },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        // What a proxy that ends TLS says (RFC 9440).
        getCertificate(ctx) {
          const field = ctx.get("client-cert").replaceAll(":", "");
          return field && `-----BEGIN CERTIFICATE-----\n${field}\n-----END CERTIFICATE-----`;
        },
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource, client) => ({
          audience: resource,
          scope: "mcp hotels.book",
          accessTokenFormat: client.clientId.startsWith("opaque") ? "opaque" : "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
      revocation: { enabled: true },
    },
  };
}

// Signs `ann` in and has her consent to whatever is asked.
async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: "ann" } });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "));
  }
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(" "));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

let provider;
const server = createServer((request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    provider = new Provider(provider.issuer, configuration());
    response.end();
  } else if (request.url.startsWith("/interaction/")) {
    interact(provider, request, response).catch((error) => {
      response.writeHead(500).end(String(error));
    });
  } else {
    provider.callback()(request, response);
  }
});
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, configuration());
  console.log(`ready: ${issuer}`);
});
