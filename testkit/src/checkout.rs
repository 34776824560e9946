//! A payment provider with hosted pages, as Stripe's interface describes one: enough of
//! Checkout Sessions, PaymentIntents and Refunds to try everything that can happen.
//!
//! * Requests with an `Idempotency-Key` are answered again with their first answer, and
//!   refused with other parameters.
//! * The page asks for nothing but a click: it stands for the one where travellers type
//!   card numbers, which never come here.
//! * Webhooks are signed and sent once; tests may take away or repeat them.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use airside_base::{Clock, OnFailure, Supervisor};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// How the provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// It does what it is asked.
    #[default]
    Fine,
    /// It does it, and the answer is lost.
    LosesAnswers,
    /// It hangs up before it does anything.
    Dead,
    /// It refuses.
    Declines,
}

/// What the provider has and how it behaves. Clones share everything.
#[derive(Clone)]
pub struct Checkout(Arc<Inner>);

struct Inner {
    key: String,
    secret: String,
    webhook: Mutex<Option<http::Uri>>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    address: Mutex<Option<SocketAddr>>,
}

#[derive(Default)]
struct State {
    mood: Mood,
    count: u64,
    pages: BTreeMap<String, Value>,
    intents: BTreeMap<String, Value>,
    refunds: BTreeMap<String, Value>,
    /// Parameters and answer, by path and idempotency key.
    answers: HashMap<String, (Parameters, Answer)>,
    /// How often something was asked, by path.
    asked: Vec<String>,
}

type Answer = (StatusCode, Value);
type Parameters = Vec<(String, String)>;

/// Parameters of a request.
#[derive(Clone, Copy)]
struct Form<'a>(&'a [(String, String)]);

impl<'a> Form<'a> {
    fn value(self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Checkout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkout").finish_non_exhaustive()
    }
}

impl Checkout {
    /// Returns a provider that knows one customer by `key` and signs with `secret`.
    #[must_use]
    pub fn new(key: &str, secret: &str, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            key: key.to_owned(),
            secret: secret.to_owned(),
            webhook: Mutex::default(),
            clock,
            state: Mutex::default(),
            address: Mutex::default(),
        }))
    }

    /// Sends webhooks to `url` from now on.
    ///
    /// # Errors
    ///
    /// If it is not a URL.
    pub fn tell(&self, url: &str) -> Result<()> {
        let uri = url.parse().context("the URL of the webhook")?;
        *self.0.webhook.lock().expect("no holder panics") = Some(uri);
        Ok(())
    }

    /// Makes it behave so.
    pub fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Returns how often a path was asked for that begins so.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        let state = self.state();
        let asked = state.asked.iter();
        asked.filter(|asked| asked.starts_with(path)).count()
    }

    /// Returns every PaymentIntent, by id.
    #[must_use]
    pub fn intents(&self) -> BTreeMap<String, Value> {
        self.state().intents.clone()
    }

    /// Returns the sum of what was given back, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let state = self.state();
        let amounts = state.refunds.values();
        amounts.filter_map(|refund| refund["amount"].as_i64()).sum()
    }

    /// Does what the traveller does on the page, named by its address: pays. Returns the
    /// webhook that belongs to it, signed, without sending it.
    ///
    /// # Errors
    ///
    /// If the page is not open.
    pub fn pay(&self, page: &str) -> Result<(String, Bytes)> {
        let id = page.rsplit('/').next().unwrap_or_default();
        let mut state = self.state();
        let page = state.pages.get_mut(id).context("there is no such page")?;
        ensure!(page["status"] == "open", "the page is not open");
        page["status"] = json!("complete");
        page["url"] = Value::Null;
        let page = page.clone();
        if let Some(intent) = page["payment_intent"].as_str()
            && let Some(intent) = state.intents.get_mut(intent)
        {
            intent["status"] = json!("requires_capture");
        }
        let event = json!({
            "id": format!("evt_{id}"),
            "object": "event",
            "type": "checkout.session.completed",
            "data": { "object": page },
        });
        let body = Bytes::from(event.to_string());
        Ok((self.sign(&body), body))
    }

    /// Returns the signature of a webhook at this moment.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        let at = self.0.clock.now().as_second();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.0.secret.as_bytes());
        let signed = [at.to_string().as_bytes(), b".", body].concat();
        let tag = aws_lc_rs::hmac::sign(&key, &signed);
        let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("t={at},v1={hex}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder panics")
    }

    /// Serves the provider on `listener` until `supervisor` is told to stop.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn serve(&self, listener: TcpListener, supervisor: &Supervisor) -> io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        *self.0.address.lock().expect("no holder panics") = Some(address);
        let (checkout, tasks) = (self.clone(), supervisor.clone());
        supervisor.spawn("checkout", OnFailure::Stop, async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = tasks.stopping() => return,
                };
                let Ok((stream, _)) = accepted else { continue };
                let serving = checkout.clone().connection(stream);
                tasks.spawn("checkout connection", OnFailure::Log, serving);
            }
        });
        Ok(address)
    }

    async fn connection(self, stream: TcpStream) {
        let answer = service_fn(move |request| {
            let checkout = self.clone();
            async move { checkout.answer(request).await }
        });
        // A connection that breaks off is what some moods are for.
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let path = head.uri.path().to_owned();
        if let Some(id) = path.strip_prefix("/pay/") {
            return Ok(self.page(&head.method, id).await);
        }
        let mood = {
            let mut state = self.state();
            state.asked.push(path.clone());
            state.mood
        };
        if mood == Mood::Dead {
            return Err(io::Error::other("hangs up"));
        }
        let shown = head.headers.get(header::AUTHORIZATION);
        let bearer = format!("Bearer {}", self.0.key);
        let (status, answer) = if shown.is_none_or(|shown| shown.as_bytes() != bearer.as_bytes()) {
            problem(StatusCode::UNAUTHORIZED, "invalid_api_key")
        } else if mood == Mood::Declines && head.method == Method::POST {
            problem(StatusCode::PAYMENT_REQUIRED, "card_declined")
        } else if head.method == Method::GET {
            self.read(&path)
        } else {
            let key = head.headers.get("idempotency-key");
            let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
            let form = url::form_urlencoded::parse(&body).into_owned().collect();
            self.once(&path, key, form)
        };
        if mood == Mood::LosesAnswers && head.method == Method::POST {
            return Err(io::Error::other("loses the answer"));
        }
        Ok(response(status, "application/json", answer.to_string()))
    }

    /// Does what is asked, or repeats what was answered.
    fn once(&self, path: &str, key: &str, form: Parameters) -> Answer {
        let mut state = self.state();
        let named = format!("{path} {key}");
        if let Some((before, answer)) = state.answers.get(&named) {
            return match *before == form {
                true => answer.clone(),
                false => problem(StatusCode::BAD_REQUEST, "idempotency_error"),
            };
        }
        let now = self.0.clock.now().as_second();
        let address = self.0.address.lock().expect("no holder panics");
        let answer = state.change(path, &form, now, *address);
        if !key.is_empty() {
            state.answers.insert(named, (form, answer.clone()));
        }
        answer
    }

    fn read(&self, path: &str) -> Answer {
        let now = self.0.clock.now().as_second();
        let mut state = self.state();
        match path.strip_prefix("/v1/checkout/sessions/") {
            Some(id) => state.show(id, now),
            None => problem(StatusCode::NOT_FOUND, "resource_missing"),
        }
    }

    /// The page that travellers see.
    async fn page(&self, method: &Method, id: &str) -> Response<Full<Bytes>> {
        const HTML: &str = "text/html; charset=utf-8";
        let page = self.state().pages.get(id).cloned();
        let Some(page) = page.filter(|page| page["status"] == "open") else {
            return response(
                StatusCode::GONE,
                HTML,
                frame("This page is no longer open."),
            );
        };
        if *method == Method::GET {
            let amount = page["amount_total"].as_i64().unwrap_or(0);
            let currency = page["currency"].as_str().unwrap_or_default();
            let form = format!(
                "<p>{amount} minor units of {}</p><form method=\"post\"><button>Pay</button></form>",
                currency.to_uppercase()
            );
            return response(StatusCode::OK, HTML, frame(&form));
        }
        match self.pay(id) {
            Ok((signature, body)) => {
                self.notify(signature, body).await;
                let done = "<p>Done. You can go back to your conversation.</p>";
                response(StatusCode::OK, HTML, frame(done))
            }
            Err(error) => response(StatusCode::GONE, HTML, frame(&error.to_string())),
        }
    }

    async fn notify(&self, signature: String, body: Bytes) {
        let webhook = self.0.webhook.lock().expect("no holder panics").clone();
        let Some(webhook) = webhook else { return };
        let request = Request::post(webhook)
            .header(header::CONTENT_TYPE, "application/json")
            .header("stripe-signature", signature)
            .body(Full::new(body));
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        if let Ok(request) = request {
            // A webhook that does not arrive is one of the things to cope with.
            let _ = client.request(request).await;
        }
    }
}

impl State {
    fn change(
        &mut self,
        path: &str,
        form: &[(String, String)],
        now: i64,
        address: Option<SocketAddr>,
    ) -> Answer {
        let form = Form(form);
        let steps: Vec<_> = path.split('/').skip(2).collect();
        match steps.as_slice() {
            ["checkout", "sessions"] => self.open(form, now, address),
            ["checkout", "sessions", id, "expire"] => match self.pages.get_mut(*id) {
                Some(page) if page["status"] == "open" => {
                    page["status"] = json!("expired");
                    page["url"] = Value::Null;
                    (StatusCode::OK, page.clone())
                }
                Some(_) => problem(StatusCode::BAD_REQUEST, "session_not_open"),
                None => problem(StatusCode::NOT_FOUND, "resource_missing"),
            },
            ["payment_intents", id, "capture"] => {
                let amount = form
                    .value("amount_to_capture")
                    .and_then(|text| text.parse::<i64>().ok());
                self.intent(id, "requires_capture", |intent| {
                    let amount = amount.filter(|amount| Some(*amount) <= intent["amount"].as_i64());
                    intent["amount_received"] = json!(amount.or(intent["amount"].as_i64()));
                    intent["status"] = json!("succeeded");
                })
            }
            ["payment_intents", id, "cancel"] => self.intent(id, "requires_capture", |intent| {
                intent["status"] = json!("canceled");
            }),
            ["refunds"] => self.refund(form),
            _ => problem(StatusCode::NOT_FOUND, "resource_missing"),
        }
    }

    fn open(&mut self, form: Form<'_>, now: i64, address: Option<SocketAddr>) -> Answer {
        let until: i64 = form
            .value("expires_at")
            .and_then(|t| t.parse().ok())
            .unwrap_or(0);
        if !(now + 30 * 60..=now + 24 * 3_600).contains(&until) {
            return problem(StatusCode::BAD_REQUEST, "invalid_expires_at");
        }
        self.count += 1;
        let id = format!("cs_test_{:08}", self.count);
        let pays = form.value("mode") == Some("payment");
        let amount = form.value("line_items[0][price_data][unit_amount]");
        let amount = amount.and_then(|amount| amount.parse::<i64>().ok());
        if pays && amount.is_none_or(|amount| amount <= 0) {
            return problem(StatusCode::BAD_REQUEST, "amount_too_small");
        }
        let currency = form
            .value("line_items[0][price_data][currency]")
            .or(form.value("currency"));
        let intent = pays.then(|| {
            let intent = format!("pi_{:08}", self.count);
            let document = json!({
                "id": intent,
                "object": "payment_intent",
                "status": "requires_payment_method",
                "amount": amount,
                "amount_received": 0,
                "latest_charge": { "amount_refunded": 0 },
            });
            self.intents.insert(intent.clone(), document);
            intent
        });
        let metadata = |name: &str| form.value(&format!("metadata[{name}]")).unwrap_or_default();
        let page = json!({
            "id": id,
            "object": "checkout.session",
            "status": "open",
            "mode": form.value("mode"),
            "url": address.map(|address| format!("http://{address}/pay/{id}")),
            "client_reference_id": form.value("client_reference_id"),
            "amount_total": amount.filter(|_| pays),
            "currency": currency,
            "expires_at": until,
            "payment_intent": intent,
            "metadata": {
                "airside_payment": metadata("airside_payment"),
                "airside_tenant": metadata("airside_tenant"),
                "airside_terms": metadata("airside_terms"),
                "airside_seal": metadata("airside_seal"),
            },
        });
        self.pages.insert(id, page.clone());
        (StatusCode::OK, page)
    }

    /// A page with its payment.
    fn show(&mut self, id: &str, now: i64) -> Answer {
        let Some(page) = self.pages.get_mut(id) else {
            return problem(StatusCode::NOT_FOUND, "resource_missing");
        };
        if page["status"] == "open" && page["expires_at"].as_i64() <= Some(now) {
            page["status"] = json!("expired");
            page["url"] = Value::Null;
        }
        let mut page = page.clone();
        if let Some(intent) = page["payment_intent"].as_str() {
            page["payment_intent"] = self.intents.get(intent).cloned().unwrap_or_default();
        }
        (StatusCode::OK, page)
    }

    fn intent(&mut self, id: &str, from: &str, change: impl FnOnce(&mut Value)) -> Answer {
        match self.intents.get_mut(id) {
            Some(intent) if intent["status"] == from => {
                change(intent);
                (StatusCode::OK, intent.clone())
            }
            Some(_) => problem(StatusCode::BAD_REQUEST, "payment_intent_unexpected_state"),
            None => problem(StatusCode::NOT_FOUND, "resource_missing"),
        }
    }

    fn refund(&mut self, form: Form<'_>) -> Answer {
        let amount = form
            .value("amount")
            .and_then(|amount| amount.parse::<i64>().ok());
        let intent = form
            .value("payment_intent")
            .and_then(|id| self.intents.get_mut(id));
        let (Some(amount), Some(intent)) = (amount, intent) else {
            return problem(StatusCode::BAD_REQUEST, "parameter_missing");
        };
        let before = intent["latest_charge"]["amount_refunded"].as_i64();
        let after = before.unwrap_or(0) + amount;
        if Some(after) > intent["amount_received"].as_i64() || amount <= 0 {
            return problem(StatusCode::BAD_REQUEST, "charge_already_refunded");
        }
        intent["latest_charge"]["amount_refunded"] = json!(after);
        let id = format!("re_{:08}", self.refunds.len());
        let refund =
            json!({ "id": id, "object": "refund", "amount": amount, "status": "succeeded" });
        self.refunds.insert(id, refund.clone());
        (StatusCode::OK, refund)
    }
}

fn problem(status: StatusCode, code: &str) -> Answer {
    let error = json!({ "error": { "code": code, "type": "invalid_request_error" } });
    (status, error)
}

fn frame(inside: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Payment</title><h1>Payment</h1>{inside}</html>"
    )
}

fn response(status: StatusCode, kind: &str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind);
    let response = response.body(Full::new(Bytes::from(body)));
    response.expect("status and type are plain")
}
