//! The server as clients meet it: the binary, its listener, identity, policy and ledger.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor};
use airside_identity::Digest;
use airside_testkit::{harness::Node, load::Histogram};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::{ToSpan as _, civil::Date};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::report::{Mix, Times, load_average};

/// Calls that are offered a second.
const RATE: f64 = 2_000.0;
/// Connections; each has one call under way.
const CONNECTIONS: usize = 64;
/// Calls that may wait for one connection.
const WAITING: usize = 8_192;
const CITIES: [&str; 16] = [
    "Boston",
    "Shanghai",
    "London",
    "Paris",
    "Tokyo",
    "Istanbul",
    "New York",
    "Mumbai",
    "Cairo",
    "São Paulo",
    "Moscow",
    "Seoul",
    "Mexico City",
    "Jakarta",
    "Berlin",
    "Madrid",
];

pub(crate) struct Plan {
    pub airside: PathBuf,
    pub folder: PathBuf,
    pub hotels: &'static str,
    pub seconds: u64,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Search,
    Ranked,
    Details,
    Availability,
    Calendar,
    /// A session that is given up again.
    Session,
    /// From a search to a booking.
    Book,
    /// The last step of it: the durable one.
    Complete,
}

/// What is called how often, in thousandths.
type Weights = [(Call, u32)];

/// The DeathStarBench mix. A login is a read of one hotel here: every call shows a key.
const MIXED: &Weights = &[
    (Call::Search, 600),
    (Call::Ranked, 390),
    (Call::Details, 5),
    (Call::Book, 5),
];
/// A thousand looks for one booking.
const LOOKS: &Weights = &[
    (Call::Search, 700),
    (Call::Availability, 240),
    (Call::Calendar, 50),
    (Call::Session, 9),
    (Call::Book, 1),
];
const SEARCHES: &Weights = &[(Call::Search, 1_000)];

struct Job {
    due: Duration,
    call: Call,
    arguments: Value,
    tool: &'static str,
    /// Different for every call of the run.
    number: u32,
}

struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    url: String,
    key: Arc<str>,
}

pub(crate) async fn measure(plan: &Plan, clock: &Arc<dyn Clock>) -> Vec<Mix> {
    fs::create_dir_all(&plan.folder).unwrap();
    let config = plan.folder.join("airside.toml");
    let (key, sha256) = new_key(&plan.airside);
    let text = format!(
        "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n[identity]\nanonymous-loopback = false\n\
         [[identity.api-key]]\nname = \"bench\"\nsha256 = \"{sha256}\"\n\
         [travel]\nhotels = \"{}\"\n[[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
        plan.hotels
    );
    fs::write(&config, text).unwrap();
    let log = plan.folder.join("airside.log");
    let config = config.to_string_lossy();
    let node = Node::start(&plan.airside, &["serve", "--config", &config], &log).unwrap();
    let tasks = Supervisor::new();
    let mut client = connect(&node, &tasks, &key).await;
    let today = clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // Also the wait until all hotels are in memory.
    let hotels = hotels(&mut client, today).await;
    let mut mixes = Vec::new();
    for (name, weights) in [
        ("search alone", SEARCHES),
        ("60/39/0.5/0.5 mix", MIXED),
        ("1,000:1 mix", LOOKS),
    ] {
        let mut run = Run {
            node: &node,
            key: &key,
            // Keys of one mix are not those of another.
            first: mixes.len() as u32 * 10_000_000,
            tasks: &tasks,
            clock,
            hotels: &hotels,
            today,
        };
        let time = Duration::from_secs(plan.seconds);
        let mut mix = run.offer(weights, time).await;
        mix.name = name.to_owned();
        mix.hotels = plan.hotels;
        mixes.push(mix);
    }
    tasks.stop(Duration::from_secs(5)).await;
    node.terminate().unwrap();
    mixes
}

/// Makes a key as an operator would.
fn new_key(airside: &Path) -> (Arc<str>, String) {
    let output = Command::new(airside)
        .args(["key", "new", "--json", "--name", "bench"])
        .output();
    let told: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    (text("key").into(), text("sha256"))
}

async fn connect(node: &Node, tasks: &Supervisor, key: &Arc<str>) -> Client {
    let url = node.url();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tasks.spawn("connection", OnFailure::Log, async move {
        let _ = connection.await;
    });
    Client {
        sender,
        url: url.path().to_owned(),
        key: key.clone(),
    }
}

impl Client {
    /// Calls a tool and returns the whole answer.
    async fn call(&mut self, tool: &str, arguments: &Value) -> Bytes {
        let body = message(tool, arguments);
        let request = Request::post(&self.url)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .body(Full::new(body.into()))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    }
}

fn message(tool: &str, arguments: &Value) -> String {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    })
    .to_string()
}

/// Returns hotels of the cities, once the server has them all in memory.
async fn hotels(client: &mut Client, today: Date) -> Vec<String> {
    let mut hotels = Vec::new();
    for city in CITIES {
        let arguments = json!({
            "place": city, "check_in": day(today, 30), "check_out": day(today, 31), "limit": 25,
        });
        let mut answer = Bytes::new();
        // A call that comes too early is told to come again.
        for _ in 0..10 {
            answer = client.call("search_hotels", &arguments).await;
            if contains(&answer, br#""isError":false"#) {
                break;
            }
        }
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let found = answer["result"]["structuredContent"]["hotels"].as_array();
        let found = found.unwrap_or_else(|| panic!("{city}: {answer}"));
        let ids = found.iter().map(|hotel| &hotel["property_id"]);
        hotels.extend(ids.filter_map(|id| Some(id.as_str()?.to_owned())));
    }
    assert!(!hotels.is_empty(), "no city has a hotel");
    hotels
}

fn day(today: Date, ahead: u32) -> String {
    today
        .checked_add(i64::from(ahead).days())
        .unwrap()
        .to_string()
}

struct Run<'a> {
    node: &'a Node,
    key: &'a Arc<str>,
    first: u32,
    tasks: &'a Supervisor,
    clock: &'a Arc<dyn Clock>,
    hotels: &'a [String],
    today: Date,
}

impl Run<'_> {
    async fn offer(&mut self, weights: &Weights, time: Duration) -> Mix {
        let (mut queues, mut results) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let client = connect(self.node, self.tasks, self.key).await;
            let (queue, jobs) = mpsc::channel(WAITING);
            let (done, result) = oneshot::channel();
            let clock = self.clock.clone();
            self.tasks.spawn("client", OnFailure::Stop, async move {
                let _ = done.send(serve(client, jobs, &*clock).await);
            });
            queues.push(queue);
            results.push(result);
        }
        let start = self.clock.monotonic();
        let all = (RATE * time.as_secs_f64()) as u32;
        for number in 0..all {
            let due = start + Duration::from_secs_f64(f64::from(number) / RATE);
            let now = self.clock.monotonic();
            if due > now {
                self.clock.sleep(due - now).await;
            }
            let job = self.job(number, due, weights);
            // What does not fit has waited for seconds already: the run is void.
            queues[number as usize % CONNECTIONS].try_send(job).unwrap();
        }
        drop(queues);
        let mut sums: Vec<(Call, Histogram)> = Vec::new();
        let mut errors = 0;
        for result in results {
            let (times, wrong) = result.await.unwrap();
            errors += wrong;
            for (call, histogram) in times {
                match sums.iter_mut().find(|(of, _)| *of == call) {
                    Some((_, sum)) => sum.add(&histogram),
                    None => sums.push((call, histogram)),
                }
            }
        }
        let took = (self.clock.monotonic() - start).as_secs_f64();
        Mix {
            name: String::new(),
            hotels: "",
            offered_per_s: RATE,
            answered_per_s: f64::from(all) / took,
            errors,
            calls: sums
                .iter()
                .map(|(call, sum)| (format!("{call:?}").to_lowercase(), Times::from(sum)))
                .collect(),
            load: load_average(),
        }
    }

    fn job(&self, number: u32, due: Duration, weights: &Weights) -> Job {
        let draw = |part: u32| (number.wrapping_mul(2_654_435_761) >> 7).wrapping_add(part * 7_919);
        let mut at = draw(0) % 1_000;
        let call = weights.iter().find(|(_, weight)| {
            let hit = at < *weight;
            at = at.saturating_sub(*weight);
            hit
        });
        let call = call.map_or(Call::Search, |(call, _)| *call);
        let ahead = 7 + draw(1) % 120;
        let (check_in, check_out) = (
            day(self.today, ahead),
            day(self.today, ahead + 1 + draw(2) % 4),
        );
        let place = CITIES[draw(3) as usize % CITIES.len()];
        let hotel = &self.hotels[draw(4) as usize % self.hotels.len()];
        let (tool, arguments) = match call {
            Call::Search => (
                "search_hotels",
                json!({ "place": place, "check_in": check_in, "check_out": check_out }),
            ),
            Call::Ranked => {
                let sort = ["price", "distance", "stars"][draw(5) as usize % 3];
                (
                    "search_hotels",
                    json!({ "place": place, "check_in": check_in, "check_out": check_out, "sort": sort }),
                )
            }
            Call::Details => ("get_hotel", json!({ "property_id": hotel })),
            Call::Calendar => (
                "get_price_calendar",
                json!({ "property_id": hotel, "from": check_in, "days": 31, "nights": 2 }),
            ),
            Call::Session | Call::Book | Call::Complete => (
                "search_hotels",
                json!({ "place": place, "check_in": check_in, "check_out": check_out, "limit": 1 }),
            ),
            Call::Availability => (
                "check_availability",
                json!({ "property_id": hotel, "check_in": check_in, "check_out": check_out }),
            ),
        };
        Job {
            due,
            call,
            arguments,
            tool,
            number: self.first + number,
        }
    }
}

/// Makes the calls of one connection, each as soon as it is due and the one before is
/// answered; time counts from when it was due.
async fn serve(
    mut client: Client,
    mut jobs: mpsc::Receiver<Job>,
    clock: &dyn Clock,
) -> (Vec<(Call, Histogram)>, u64) {
    let mut times: Vec<(Call, Histogram)> = Vec::new();
    let mut errors = 0;
    let mut note = |call, took| match times.iter_mut().find(|(of, _)| *of == call) {
        Some((_, histogram)) => histogram.record(took),
        None => {
            let mut histogram = Histogram::default();
            histogram.record(took);
            times.push((call, histogram));
        }
    };
    while let Some(job) = jobs.recv().await {
        let answer = client.call(job.tool, &job.arguments).await;
        let mut answered = contains(&answer, br#""isError":false"#);
        if let Call::Session | Call::Book = job.call
            && let Some(offer) = offer_in(&answer)
        {
            let complete = client.book(&offer, &job, clock).await;
            answered = complete.is_some();
            if let (Some(took), Call::Book) = (complete, job.call) {
                note(Call::Complete, took);
            }
        }
        note(job.call, clock.monotonic().saturating_sub(job.due));
        errors += u64::from(!answered);
    }
    (times, errors)
}

fn offer_in(answer: &[u8]) -> Option<Value> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let offer = answer.pointer("/result/structuredContent/hotels/0/best_offer/offer_ref")?;
    Some(offer.clone())
}

impl Client {
    /// Begins a booking session and completes it, or gives it up; returns how long the
    /// last call took.
    async fn book(&mut self, offer: &Value, job: &Job, clock: &dyn Clock) -> Option<Duration> {
        let key = |step: u8| format!("6f1d6a3e-0d6e-4a53-9a38-{step:04x}{:08x}", job.number);
        let create = json!({
            "offer_ref": offer, "idempotency_key": key(1),
            "booker": { "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com" },
        });
        let created = self.call("create_booking_session", &create).await;
        let created: Value = serde_json::from_slice(&created).ok()?;
        let id = created.pointer("/result/structuredContent/session/id")?;
        let begun = clock.monotonic();
        let answer = match job.call {
            Call::Book => {
                let consent = created.pointer("/result/_meta/airside~1consent")?;
                let text = |name: &str| consent[name].as_str();
                let (nonce, terms, key) = (text("nonce")?, text("terms_digest")?, key(2));
                let token = format!(
                    "airside-consent-v1\n{nonce}\n{}\n{terms}\n{key}",
                    id.as_str()?
                );
                let token = Digest::of(token.as_bytes()).to_string();
                let complete = json!({
                    "session_id": id, "idempotency_key": key, "terms_digest": terms,
                    "consent_token": token, "disclosure_shown": true,
                });
                self.call("complete_booking_session", &complete).await
            }
            _ => {
                let cancel = json!({ "session_id": id });
                self.call("cancel_booking_session", &cancel).await
            }
        };
        contains(&answer, br#""isError":false"#).then(|| clock.monotonic() - begun)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
