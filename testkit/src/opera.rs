//! A stateful simulator of OPERA Cloud Distribution over HTTP on loopback.
//!
//! It answers the calls of the published Swagger files that a seller needs: tokens, shop,
//! content, and book with holds that expire. Inventory, rates, taxes and cancellation
//! rules are those of three invented hotels; troubles happen on demand.
//!
//! # Invariants
//!
//! * A room is sold once: what would oversell is refused.
//! * A reservation is made once per external id; a repetition returns the first.
//! * A hold that is not committed is gone after its time, on the simulator's clock.
//! * Every exchange is written down, so that a test can hold both sides against the
//!   published schemas.

mod answers;
mod house;

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use self::house::House;
pub use self::house::{HOTELS, Hotel, Sold, Status, messages};

/// User and password that the token service knows.
pub const USER: (&str, &str) = ("airside", "a-password-of-the-simulator");
/// The channel that the simulator sells over.
pub const CHANNEL: &str = "AIRSIDE";
/// A key of a partner, as its pattern wants it.
pub const APP_KEY: &str = "5f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";

const MAX_BODY: usize = 1 << 20;
/// Exchanges that are written down.
const MAX_EXCHANGES: usize = 10_000;

/// How the simulator is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a hold stands.
    pub hold: Duration,
    /// How long a token is good for.
    pub token: Duration,
    /// Whether a reservation is found by the seller's own id too. The published files
    /// do not promise it.
    pub by_own_id: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(20 * 60),
            token: Duration::from_secs(3_600),
            by_own_id: true,
        }
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is never answered, and not done.
    SilentBefore,
    /// It is done and never answered.
    SilentAfter,
    /// It is answered with a status, and not done.
    Status(u16),
    /// It is done and answered with a status.
    StatusAfter(u16),
    /// It is done and answered with something that is no answer.
    Garbled,
    /// It is done and the connection ends in the middle of the answer.
    Torn,
    /// It is done when the simulator is told to go on.
    Held,
}

/// Which call a trouble is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `getToken`
    Token,
    /// Any question of the shop.
    Shop,
    /// `postReservation`
    Create,
    /// `putReservation`
    Modify,
    /// `postOnHoldReservation`
    Status,
    /// `postCancelReservation`
    Cancel,
    /// `getReservation`
    Retrieve,
    /// Any question about content.
    Content,
}

/// One request with its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Method of the request.
    pub method: String,
    /// Path and query of the request.
    pub target: String,
    /// Names and values of the request's headers.
    pub headers: Vec<(String, String)>,
    /// Body of the request, if it has one.
    pub request: Option<Value>,
    /// Status of the answer.
    pub status: u16,
    /// Body of the answer, if it has one.
    pub answer: Option<Value>,
}

/// A running simulator. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    house: Mutex<House>,
    troubles: Mutex<VecDeque<(Step, Trouble)>>,
    exchanges: Mutex<VecDeque<Exchange>>,
    released: tokio::sync::Semaphore,
    clock: Arc<dyn Clock>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// Starts on a loopback address until `supervisor` stops.
    ///
    /// # Errors
    ///
    /// When the address cannot be used.
    pub async fn start(
        address: SocketAddr,
        options: Options,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let simulator = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                house: Mutex::new(House::new(options)),
                troubles: Mutex::default(),
                exchanges: Mutex::default(),
                released: tokio::sync::Semaphore::new(0),
                clock,
            }),
        };
        let (serving, tasks) = (simulator.clone(), supervisor.clone());
        supervisor.spawn("opera", OnFailure::Log, async move {
            tokio::select! {
                () = serving.serve(listener, &tasks) => {}
                () = tasks.stopping() => {}
            }
        });
        Ok(simulator)
    }

    async fn serve(&self, listener: TcpListener, supervisor: &Supervisor) {
        while let Ok((stream, _)) = listener.accept().await {
            let (simulator, stop) = (self.clone(), supervisor.clone());
            supervisor.spawn("opera-connection", OnFailure::Log, async move {
                let answer = service_fn(|request| simulator.answer(request));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                tokio::select! {
                    // A connection that breaks off is the peer's business.
                    _ = served => {}
                    () = stop.stopping() => {}
                }
            });
        }
    }

    /// Returns where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes the next call of this kind that has no trouble yet go wrong.
    pub fn trouble(&self, step: Step, trouble: Trouble) {
        lock(&self.shared.troubles).push_back((step, trouble));
    }

    /// Lets a call go on that [`Trouble::Held`] stopped.
    pub fn go_on(&self) {
        self.shared.released.add_permits(1);
    }

    /// Returns how many troubles have not happened yet.
    #[must_use]
    pub fn troubles_left(&self) -> usize {
        lock(&self.shared.troubles).len()
    }

    /// Returns all reservations, the oldest first.
    #[must_use]
    pub fn reservations(&self) -> Vec<Sold> {
        let now = self.shared.clock.now();
        lock(&self.shared.house).reservations(now)
    }

    /// Changes what every night of a hotel costs, in minor units for a room.
    pub fn dearer(&self, hotel: &str, by: i64) {
        lock(&self.shared.house).dearer(hotel, by);
    }

    /// Takes all exchanges that were written down.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.shared.exchanges).drain(..).collect()
    }

    /// Makes every token that was given worthless.
    pub fn forget_tokens(&self) {
        lock(&self.shared.house).forget_tokens();
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, io::Error> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|_| io::ErrorKind::InvalidData)?.to_bytes();
        let path = head.uri.path();
        let step = step(&head.method, path);
        let trouble = step.and_then(|step| self.next_trouble(step));
        match trouble {
            Some(Trouble::SilentBefore) => return silence().await,
            Some(Trouble::Status(status)) => {
                let answer = answers::exception(status, "Trouble");
                return Ok(self.write_down(&head, &body, (status, answer)));
            }
            Some(Trouble::Held) => {
                if let Ok(permit) = self.shared.released.acquire().await {
                    permit.forget();
                }
            }
            _ => {}
        }
        let now = self.shared.clock.now();
        let json = serde_json::from_slice(&body).ok();
        let asked = answers::Asked {
            method: &head.method,
            path,
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            json: json.as_ref(),
            form: &body,
        };
        let answer = {
            let mut house = lock(&self.shared.house);
            answers::answer(&mut house, &asked, now)
        };
        match trouble {
            Some(Trouble::SilentAfter) => silence().await,
            Some(Trouble::StatusAfter(status)) => {
                let answer = answers::exception(status, "Trouble");
                Ok(self.write_down(&head, &body, (status, answer)))
            }
            Some(Trouble::Garbled) => Ok(Response::new(Full::new(Bytes::from_static(b"[{")))),
            Some(Trouble::Torn) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Trouble::SilentBefore | Trouble::Status(_) | Trouble::Held) | None => {
                Ok(self.write_down(&head, &body, answer))
            }
        }
    }

    fn next_trouble(&self, step: Step) -> Option<Trouble> {
        let mut troubles = lock(&self.shared.troubles);
        let at = troubles.iter().position(|(of, _)| *of == step)?;
        troubles.remove(at).map(|(_, trouble)| trouble)
    }

    fn write_down(
        &self,
        head: &http::request::Parts,
        body: &[u8],
        (status, answer): (u16, Value),
    ) -> Response<Full<Bytes>> {
        let text = match &answer {
            Value::Null => Bytes::new(),
            answer => answer.to_string().into(),
        };
        let exchange = Exchange {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            headers: named(&head.headers),
            request: serde_json::from_slice(body).ok(),
            status,
            answer: (!answer.is_null()).then_some(answer),
        };
        let mut exchanges = lock(&self.shared.exchanges);
        if exchanges.len() >= MAX_EXCHANGES {
            exchanges.pop_front();
        }
        exchanges.push_back(exchange);
        let mut response = Response::new(Full::new(text));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = http::HeaderValue::from_static("application/json; charset=utf-8");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
        if status == 429 {
            let second = http::HeaderValue::from_static("1");
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, second);
        }
        response
    }
}

/// Never answers; ends with the connection.
async fn silence<T>() -> Result<T, io::Error> {
    let never: Infallible = std::future::pending().await;
    match never {}
}

fn named(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn step(method: &Method, path: &str) -> Option<Step> {
    let book = path.starts_with("/book/");
    Some(match method.as_str() {
        _ if path.starts_with("/hdpba/") => Step::Token,
        _ if path.starts_with("/shop/") => Step::Shop,
        _ if path.starts_with("/content/") => Step::Content,
        "POST" if book && path.ends_with("/reservations") => Step::Create,
        "POST" if book && path.ends_with("/status") => Step::Status,
        "POST" if book && path.ends_with("/cancellations") => Step::Cancel,
        "PUT" if book => Step::Modify,
        "GET" if book => Step::Retrieve,
        _ => return None,
    })
}
