//! How clients get tokens, and what is told about them.

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use airside_base::secret_token;

use super::{Idp, json_answer, status};

/// A code that was given to a client.
pub(super) struct Code {
    client: String,
    redirect: String,
    challenge: String,
    resource: String,
    scope: String,
}

/// The word of an enterprise for a person.
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

type Form = std::collections::HashMap<String, String>;

fn read(text: &[u8]) -> Form {
    form_urlencoded::parse(text).into_owned().collect()
}

fn refused(error: &str) -> Response<Full<Bytes>> {
    let mut response = json_answer(&json!({"error": error}));
    *response.status_mut() = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    response
}

impl Idp {
    /// Everybody is signed in as `ann` and consents.
    pub(super) fn authorize(&self, head: &Parts) -> Response<Full<Bytes>> {
        let form = read(head.uri.query().unwrap_or_default().as_bytes());
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        let Ok(mut redirect) = Url::parse(&get("redirect_uri")) else {
            return refused("invalid_request");
        };
        // Without PKCE and a resource nothing is issued (OAuth 2.1; RFC 8707).
        if get("response_type") != "code"
            || get("code_challenge_method") != "S256"
            || get("resource").is_empty()
        {
            return refused("invalid_request");
        }
        let code = secret_token();
        let kept = Code {
            client: get("client_id"),
            redirect: get("redirect_uri"),
            challenge: get("code_challenge"),
            resource: get("resource"),
            scope: get("scope"),
        };
        self.lock().codes.insert(code.clone(), kept);
        redirect
            .query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &get("state"))
            .append_pair("iss", &self.issuer());
        let mut response = status(StatusCode::FOUND);
        let to = HeaderValue::try_from(redirect.as_str()).expect("a URL is printable");
        response.headers_mut().insert(header::LOCATION, to);
        response
    }

    pub(super) fn grant(&self, head: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
        let form = read(body);
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        match get("grant_type").as_str() {
            "client_credentials" => match self.client(head) {
                Some(client) => {
                    let claims = json!({
                        "client_id": client, "sub": client, "scope": get("scope"),
                    });
                    self.issue(head, &get("resource"), claims)
                }
                None => refused("invalid_client"),
            },
            "authorization_code" => self.redeem(head, &form),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => self.exchange(head, &get("assertion")),
            "urn:ietf:params:oauth:grant-type:token-exchange" => self.attest(head, &form),
            _ => refused("unsupported_grant_type"),
        }
    }

    fn redeem(&self, head: &Parts, form: &Form) -> Response<Full<Bytes>> {
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        let Some(code) = self.lock().codes.remove(get("code")) else {
            return refused("invalid_grant");
        };
        let digest = digest::digest(&digest::SHA256, get("code_verifier").as_bytes());
        let proved = BASE64_URL_SAFE_NO_PAD.encode(digest) == code.challenge;
        let same = get("redirect_uri") == code.redirect && get("client_id") == code.client;
        if !proved || !same || get("resource") != code.resource {
            return refused("invalid_grant");
        }
        let claims = json!({"client_id": code.client, "sub": "ann", "scope": code.scope});
        self.issue(head, &code.resource, claims)
    }

    /// Gives its word for a person to the authorization server in the form, for a client
    /// with whom she has signed in (ID-JAG over RFC 8693).
    fn attest(&self, head: &Parts, form: &Form) -> Response<Full<Bytes>> {
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        let Some(client) = self.client(head) else {
            return refused("invalid_client");
        };
        let types = (get("requested_token_type"), get("subject_token_type"));
        if types != (ID_JAG, "urn:ietf:params:oauth:token-type:id_token") {
            return refused("invalid_request");
        }
        let said = self.vouched(get("subject_token"), "JWT");
        let Some(said) = said.filter(|said| said["aud"] == client.as_str()) else {
            return refused("invalid_grant");
        };
        let now = self.clock.now().as_second();
        let mut word = json!({
            "iss": self.issuer(), "aud": get("audience"), "resource": get("resource"),
            "client_id": client, "scope": get("scope"), "sub": said["sub"],
            "jti": secret_token(), "iat": now, "exp": now + 300,
        });
        for name in ["org_id", "act"] {
            if let Some(value) = said.get(name) {
                word[name] = value.clone();
            }
        }
        json_answer(&json!({
            "access_token": self.sign(&json!({"typ": "oauth-id-jag+jwt"}), &word),
            "issued_token_type": ID_JAG, "token_type": "N_A", "expires_in": 300,
        }))
    }

    /// Takes the word of an enterprise for a person, once. Who acts and for which
    /// organisation goes into the token.
    fn exchange(&self, head: &Parts, word: &str) -> Response<Full<Bytes>> {
        let enterprises = self.lock().enterprises.clone();
        let mut enterprises = enterprises.iter();
        let said = enterprises.find_map(|enterprise| enterprise.vouched(word, "oauth-id-jag+jwt"));
        let Some(said) = said else {
            return refused("invalid_grant");
        };
        let for_us = said["aud"] == self.issuer()
            && self.client(head).map(Value::from).as_ref() == Some(&said["client_id"]);
        let id = said["jti"].as_str().unwrap_or_default().to_owned();
        if !for_us || !self.lock().redeemed.insert(id) {
            return refused("invalid_grant");
        }
        let mut act = json!({"sub": said["client_id"]});
        if let Some(before) = said.get("act") {
            act["act"] = before.clone();
        }
        let claims = json!({
            "client_id": said["client_id"], "sub": said["sub"], "scope": said["scope"],
            "org_id": said["org_id"], "act": act,
        });
        self.issue(head, said["resource"].as_str().unwrap_or_default(), claims)
    }

    /// Issues a token, bound to the key of a proof if there is one.
    fn issue(&self, head: &Parts, resource: &str, mut claims: Value) -> Response<Full<Bytes>> {
        if resource.is_empty() {
            return refused("invalid_target");
        }
        let bound = head
            .headers
            .get("dpop")
            .and_then(|proof| proof.to_str().ok());
        if let Some(key) = bound.and_then(thumbprint) {
            claims["cnf"] = json!({"jkt": key});
        }
        json_answer(&json!({
            "access_token": self.token(resource, claims),
            "token_type": if bound.is_some() { "DPoP" } else { "Bearer" },
            "expires_in": 300,
        }))
    }

    pub(super) fn introspect(&self, head: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
        self.lookups.send_modify(|lookups| *lookups += 1);
        if self.client(head).is_none() {
            return refused("invalid_client");
        }
        let form = read(body);
        let token = form.get("token").map_or("", String::as_str);
        let state = self.lock();
        let known = state
            .opaque
            .get(token)
            .filter(|_| !state.revoked.contains(token));
        let mut answer = known.cloned().unwrap_or_else(|| json!({}));
        answer["active"] = json!(known.is_some());
        drop(state);
        json_answer(&answer)
    }

    /// Returns the client that showed its secret by Basic.
    fn client(&self, head: &Parts) -> Option<String> {
        let value = head.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let pair = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (client, secret) = pair.split_once(':')?;
        // As forms are encoded (RFC 6749, section 2.3.1).
        let decode = |text: &str| {
            let pairs = format!("x={text}");
            let (_, text) = form_urlencoded::parse(pairs.as_bytes()).next()?;
            Some(text.into_owned())
        };
        let (client, secret) = (decode(client)?, decode(secret)?);
        let known = self.lock().clients.get(&client) == Some(&secret);
        known.then_some(client)
    }
}

/// Returns the thumbprint of the key in a proof. The proof is the client's word here.
fn thumbprint(proof: &str) -> Option<String> {
    let header = BASE64_URL_SAFE_NO_PAD
        .decode(proof.split('.').next()?)
        .ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let jwk = header.get("jwk")?.as_object()?;
    let sorted: std::collections::BTreeMap<_, _> = jwk.iter().collect();
    let text = json!(sorted).to_string();
    Some(BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}
