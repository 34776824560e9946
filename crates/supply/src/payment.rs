//! Payment pages in Stripe's protocol: Checkout Sessions whose amount is reserved first
//! and taken with the booking (`capture_method=manual`), or a method that is saved as a
//! guarantee (`mode=setup`), and signed webhooks.
//!
//! # Invariants
//!
//! * A webhook only says that something happened: what it was is read from the provider.
//! * What is read back has the seal, the amount and the currency of what was asked for.
//! * The traveller is only led to pages on hosts that are configured.
//! * Keys and secrets are in no message, error or log.

mod form;
mod webhook;
mod wire;

use std::time::Duration;

use airside_base::{BoxFuture, Redacted};
use airside_travel::{
    payment::{Error, Method, Order, Payment, Payments, Purpose, State},
    supply::Reference,
};
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{HeaderValue, Method as Verb, Request, StatusCode, header};
use url::Url;

pub use self::webhook::{Notice, NoticeError};
use self::{
    form::Form,
    wire::{Intent, Page, Problem},
};
pub use crate::http::SetupError;
use crate::http::{Failure, Http};

/// The version of the interface that this is written for.
const VERSION: &str = "2025-06-30.basil";
/// How much longer the provider keeps a page than the rooms are held: it takes pages
/// that live for 30 minutes at least. A payment after the hold is given up again.
const LONGER: Duration = Duration::from_secs(31 * 60);
/// Longest word of the provider's that is repeated, in characters.
const MAX_WORD: usize = 60;

/// How the provider is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where its interface is.
    pub base: Url,
    /// The secret key.
    pub key: Redacted<String>,
    /// What webhooks are signed with.
    pub webhook_secret: Redacted<String>,
    /// Hosts of pages that travellers may be led to, with their ports if not the usual.
    pub pages: Vec<String>,
    /// Where the provider sends travellers when they are done.
    pub return_url: Url,
    /// Longest time that one call may take.
    pub timeout: Duration,
}

/// Takes payments on hosted pages.
#[derive(Debug)]
pub struct Checkout {
    http: Http,
    access: Access,
}

impl Checkout {
    /// Returns a client of the provider.
    ///
    /// # Errors
    ///
    /// If its URL is not safe or TLS cannot be set up.
    pub fn new(access: Access) -> Result<Self, SetupError> {
        let http = Http::new(access.base.clone(), access.timeout)?;
        Ok(Self { http, access })
    }

    /// Returns what binds a payment at the provider to its order.
    fn seal(&self, order: &Order) -> String {
        let key = hmac::Key::new(
            hmac::HMAC_SHA256,
            self.access.webhook_secret.expose().as_bytes(),
        );
        let text = format!(
            "airside-payment-v1\n{}\n{}\n{}\n{}\n{}",
            order.reference, order.tenant, order.amount, order.currency.code, order.terms_digest
        );
        hex(hmac::sign(&key, text.as_bytes()).as_ref())
    }

    fn page_form(&self, order: &Order) -> Result<Form, Error> {
        let until = order.expires.as_second() + LONGER.as_secs() as i64;
        let currency = order.currency.code.to_ascii_lowercase();
        let mut form = Form::default();
        form.add("client_reference_id", order.reference.as_str());
        form.add("metadata[airside_payment]", order.reference.as_str());
        form.add("metadata[airside_tenant]", order.tenant.as_str());
        form.add("metadata[airside_terms]", &order.terms_digest);
        form.add("metadata[airside_seal]", &self.seal(order));
        form.add("success_url", self.access.return_url.as_str());
        form.add("cancel_url", self.access.return_url.as_str());
        form.add("expires_at", &until.to_string());
        match order.purpose {
            Purpose::Guarantee => {
                form.add("mode", "setup");
                form.add("currency", &currency);
            }
            Purpose::Charge => {
                let amount =
                    wire::amount(order.amount, order.currency).ok_or_else(|| Error::Refused {
                        reason: "the amount cannot be paid in this currency".to_owned(),
                    })?;
                form.add("mode", "payment");
                form.add("payment_intent_data[capture_method]", "manual");
                form.add("line_items[0][quantity]", "1");
                form.add("line_items[0][price_data][currency]", &currency);
                let amount = amount.to_string();
                form.add("line_items[0][price_data][unit_amount]", &amount);
                let name = "line_items[0][price_data][product_data][name]";
                form.add(name, &order.summary);
            }
        }
        Ok(form)
    }

    async fn post(&self, path: &str, key: &str, form: &Form) -> Result<Bytes, Error> {
        let form = Bytes::from(form.to_string());
        let mut request = self.request(Verb::POST, path, form)?;
        let headers = request.headers_mut();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, kind);
        let key = HeaderValue::from_str(key).map_err(|_| Error::Foreign)?;
        headers.insert("idempotency-key", key);
        self.send(request).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, Error> {
        let request = self.request(Verb::GET, path, Bytes::new())?;
        match self.send(request).await {
            // Reading changes nothing, so nothing is unknown.
            Err(Error::Unknown) => Err(Error::Unavailable),
            read => read,
        }
    }

    fn request(&self, verb: Verb, path: &str, body: Bytes) -> Result<Request<Bytes>, Error> {
        let bearer = format!("Bearer {}", self.access.key.expose());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| Error::Unavailable)?;
        bearer.set_sensitive(true);
        Request::builder()
            .method(verb)
            .uri(path)
            .header(header::AUTHORIZATION, bearer)
            .header("stripe-version", VERSION)
            .body(body)
            .map_err(|_| Error::Foreign)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Bytes, Error> {
        let answer = self
            .http
            .send(request)
            .await
            .map_err(|failure| match failure {
                Failure::NotSent => Error::Unavailable,
                Failure::Lost => Error::Unknown,
            })?;
        match answer.status {
            status if status.is_success() => Ok(answer.body),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::Unavailable)
            }
            // The same key is at work, or it went wrong in the middle.
            status if status == StatusCode::CONFLICT || status.is_server_error() => {
                Err(Error::Unknown)
            }
            _ => Err(Error::Refused {
                reason: Problem::read(&answer.body)
                    .map_or_else(|| "no reason was given".to_owned(), |word| plain(&word)),
            }),
        }
    }

    /// Reads a page, and proves that it is the one of `order`.
    fn page(&self, body: &Bytes, order: &Order) -> Result<Page, Error> {
        let page: Page = serde_json::from_slice(body).map_err(|_| Error::Foreign)?;
        let sealed = page.metadata.airside_seal.as_bytes();
        let expected = self.seal(order);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(sealed, expected.as_bytes());
        let amount = match order.purpose {
            Purpose::Guarantee => None,
            Purpose::Charge => wire::amount(order.amount, order.currency),
        };
        let is_ours = same.is_ok()
            && page.client_reference_id.as_deref() == Some(order.reference.as_str())
            && (amount.is_none() || page.amount_total == amount)
            && wire::is_id(&page.id);
        match is_ours {
            true => Ok(page),
            false => Err(Error::Foreign),
        }
    }

    fn payment(&self, page: &Page, order: &Order) -> Result<Payment, Error> {
        let state = page.state(order.purpose);
        let url = match (&page.url, state) {
            (Some(url), State::Open) => Some(self.checked(url)?),
            _ => None,
        };
        let intent = page.payment_intent.as_ref();
        let ours = |amount: i64| wire::back(amount, order.currency);
        let taken = intent.filter(|_| state == State::Captured);
        Ok(Payment {
            id: page.id.clone(),
            state,
            page: url,
            captured: taken.map_or(0, |intent| ours(intent.amount_received)),
            refunded: taken.map_or(0, |intent| ours(intent.refunded())),
        })
    }

    /// Returns the address of a page, if travellers may be led there.
    fn checked(&self, url: &str) -> Result<String, Error> {
        let page: Url = url.parse().map_err(|_| Error::Foreign)?;
        let host = match (page.host_str(), page.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(Error::Foreign),
        };
        // As the interface itself: only what is on this machine goes without TLS.
        let safe = page.scheme() == "https"
            || (page.scheme() == "http" && self.access.base.scheme() == "http");
        let known = self.access.pages.contains(&host);
        let plain = page.username().is_empty() && page.password().is_none();
        match safe && known && plain {
            true => Ok(page.into()),
            false => {
                tracing::error!(
                    host,
                    "the payment provider named a page on a host that is not configured"
                );
                Err(Error::Foreign)
            }
        }
    }

    async fn read(&self, id: &str, order: &Order) -> Result<Page, Error> {
        if !wire::is_id(id) {
            return Err(Error::Foreign);
        }
        let path = format!(
            "/v1/checkout/sessions/{id}?expand[]=payment_intent&expand[]=payment_intent.latest_charge"
        );
        let body = self.get(&path).await?;
        self.page(&body, order)
    }

    async fn refreshed(&self, id: &str, order: &Order) -> Result<Payment, Error> {
        let page = self.read(id, order).await?;
        self.payment(&page, order)
    }

    /// Does something to the payment behind a page.
    async fn change(
        &self,
        intent: &Intent,
        step: &str,
        key: String,
        form: Form,
    ) -> Result<(), Error> {
        if !wire::is_id(&intent.id) {
            return Err(Error::Foreign);
        }
        let path = format!("/v1/payment_intents/{}/{step}", intent.id);
        self.post(&path, &key, &form).await.map(drop)
    }
}

impl Payments for Checkout {
    fn method(&self) -> Method {
        Method::HostedPage
    }

    fn open<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async move {
            let form = self.page_form(order)?;
            let key = order.reference.as_str();
            let body = self.post("/v1/checkout/sessions", key, &form).await?;
            let page = self.page(&body, order)?;
            // The answer to a repetition is the first one: what happened since is read.
            self.refreshed(&page.id, order).await
        })
    }

    fn find<'a>(&'a self, id: &'a str, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(self.refreshed(id, order))
    }

    fn capture<'a>(
        &'a self,
        id: &'a str,
        order: &'a Order,
        amount: i64,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async move {
            let page = self.read(id, order).await?;
            if page.state(order.purpose) == State::Authorized {
                let intent = page.payment_intent.as_ref().ok_or(Error::Foreign)?;
                let amount = wire::amount(amount.min(order.amount), order.currency);
                let mut form = Form::default();
                form.add(
                    "amount_to_capture",
                    &amount.ok_or(Error::Foreign)?.to_string(),
                );
                let key = format!("{}-capture", order.reference);
                self.change(intent, "capture", key, form).await?;
            }
            self.refreshed(id, order).await
        })
    }

    fn void<'a>(&'a self, id: &'a str, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async move {
            let page = self.read(id, order).await?;
            match (page.state(order.purpose), &page.payment_intent) {
                (State::Open, _) => {
                    let key = format!("{}-expire", order.reference);
                    let path = format!("/v1/checkout/sessions/{id}/expire");
                    self.post(&path, &key, &Form::default()).await?;
                }
                (State::Authorized, Some(intent)) => {
                    let key = format!("{}-cancel", order.reference);
                    self.change(intent, "cancel", key, Form::default()).await?;
                }
                // A saved method of payment costs nothing and names no amount.
                (State::Authorized, None) => {
                    let payment = self.payment(&page, order)?;
                    return Ok(Payment {
                        state: State::Voided,
                        ..payment
                    });
                }
                (State::Captured | State::Voided, _) => {}
            }
            self.refreshed(id, order).await
        })
    }

    fn refund<'a>(
        &'a self,
        id: &'a str,
        order: &'a Order,
        refund: &'a Reference,
        amount: i64,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async move {
            let page = self.read(id, order).await?;
            let intent = page.payment_intent.as_ref().ok_or(Error::Foreign)?;
            let amount = wire::amount(amount, order.currency).ok_or(Error::Foreign)?;
            let mut form = Form::default();
            form.add("payment_intent", &intent.id);
            form.add("amount", &amount.to_string());
            form.add("metadata[airside_refund]", refund.as_str());
            let key = format!("{}-{refund}", order.reference);
            self.post("/v1/refunds", &key, &form).await?;
            self.refreshed(id, order).await
        })
    }
}

/// Returns the provider's word short and plain.
fn plain(word: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '-' | '.');
    word.chars().filter(allowed).take(MAX_WORD).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
