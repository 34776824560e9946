//! The connection to the store, made and made again.
//!
//! # Invariants
//!
//! * There is one connection for the process, on which calls are pipelined. Whoever
//!   finds it broken gives it up; a task of its own makes the next one.
//! * Nobody waits for a connection: without one calls are counted here.

use std::{io, sync::Arc, time::Duration};

use airside_base::{Clock, OnFailure, Redacted, Supervisor};
use arc_swap::ArcSwapOption;
use redis::{
    AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value, aio::MultiplexedConnection,
};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Longest wait for a connection that is ready to use.
const CONNECT: Duration = Duration::from_secs(2);
/// Shortest and longest wait between two tries.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(30);

const SCRIPT: &str = include_str!("take.lua");

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not one of a store.
    #[error(
        "the URL of the store is not redis://[user:password@]host[:port][/number] or rediss://…"
    )]
    Url,
    /// It cannot be reached.
    #[error("cannot connect to the store")]
    Connect(#[source] io::Error),
    /// It does not answer as it should.
    #[error("the store refuses")]
    Store(#[from] RedisError),
    /// It takes too long.
    #[error("the store does not answer in time")]
    Slow(#[from] Elapsed),
    /// Its answer is not one of the script.
    #[error("the store answers something else")]
    Answer,
}

/// Where the store is.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
    port: u16,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    info: RedisConnectionInfo,
}

/// A connection with the script.
#[derive(Debug)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    script: String,
    broken: CancellationToken,
}

/// What the process knows of the store.
#[derive(Debug)]
pub(super) struct Links {
    place: Place,
    limit: Duration,
    present: ArcSwapOption<Link>,
    lost: Notify,
}

/// What became of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// There is one again.
    Back,
    /// There is none any more.
    Away(String),
}

impl Place {
    pub(super) fn new(url: &Redacted<String>) -> Result<Self, Error> {
        let url = Url::parse(url.expose()).map_err(|_| Error::Url)?;
        let host = url.host_str().ok_or(Error::Url)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let tls = match url.scheme() {
            "redis" => None,
            "rediss" => {
                let name = ServerName::try_from(host.clone()).map_err(|_| Error::Url)?;
                Some((tls_config().map_err(Error::Connect)?, name))
            }
            _ => return Err(Error::Url),
        };
        let number = match url.path().trim_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| Error::Url)?,
        };
        let decoded = |text: &str| {
            let decoded = percent_decoded(text);
            decoded.ok_or(Error::Url)
        };
        let mut info = RedisConnectionInfo::default().set_db(number);
        if !url.username().is_empty() {
            info = info.set_username(decoded(url.username())?);
        }
        if let Some(password) = url.password() {
            info = info.set_password(decoded(password)?);
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(6379),
            tls,
            info: info.set_skip_set_lib_name(),
        })
    }

    /// Connects and loads the script.
    async fn connect(&self, limit: Duration, supervisor: &Supervisor) -> Result<Link, Error> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(Error::Connect)?;
        stream.set_nodelay(true).map_err(Error::Connect)?;
        let options = AsyncConnectionConfig::new().set_response_timeout(None);
        let broken = CancellationToken::new();
        let mut connection = match &self.tls {
            None => {
                let made = MultiplexedConnection::new_with_config(&self.info, stream, options);
                let (connection, driver) = made.await?;
                drive(driver, &broken, supervisor);
                connection
            }
            Some((config, name)) => {
                let tls = TlsConnector::from(config.clone());
                let stream = tls.connect(name.clone(), stream).await;
                let stream = stream.map_err(Error::Connect)?;
                let made = MultiplexedConnection::new_with_config(&self.info, stream, options);
                let (connection, driver) = made.await?;
                drive(driver, &broken, supervisor);
                connection
            }
        };
        let mut load = Cmd::new();
        load.arg("SCRIPT").arg("LOAD").arg(SCRIPT);
        let script: String = load.query_async(&mut connection).await?;
        // What is too slow for calls is as good as away.
        let mut ping = Cmd::new();
        ping.arg("PING");
        timeout(limit, connection.send_packed_command(&ping)).await??;
        Ok(Link {
            connection,
            script,
            broken,
        })
    }
}

/// Runs what moves the bytes of a connection, until it breaks or is given up.
fn drive(
    driver: impl Future<Output = ()> + Send + 'static,
    broken: &CancellationToken,
    supervisor: &Supervisor,
) {
    let broken = broken.clone();
    supervisor.spawn("limits store connection", OnFailure::Log, async move {
        tokio::select! {
            () = driver => {}
            () = broken.cancelled() => {}
        }
        broken.cancel();
    });
}

impl Links {
    pub(super) fn new(place: Place, limit: Duration) -> Self {
        Self {
            place,
            limit,
            present: ArcSwapOption::empty(),
            lost: Notify::new(),
        }
    }

    /// Returns the connection, if there is one.
    pub(super) fn present(&self) -> Option<Arc<Link>> {
        self.present.load_full()
    }

    /// Gives a connection up.
    pub(super) fn give_up(&self, link: &Arc<Link>, why: &Error) {
        let before = self.present.load();
        if before
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, link))
        {
            let swapped = self.present.compare_and_swap(&*before, None);
            if swapped
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(known, link))
            {
                tracing::debug!(error = %why, "the connection to the store of limits is given up");
                self.lost.notify_one();
            }
        }
        link.broken.cancel();
    }

    /// Keeps a connection open until `supervisor` stops, and tells what changes.
    pub(super) async fn keep(
        &self,
        clock: &dyn Clock,
        supervisor: &Supervisor,
        mut tell: impl FnMut(Change),
    ) {
        let mut wait = AGAIN.0;
        let mut told = false;
        loop {
            let connecting = timeout(CONNECT, self.place.connect(self.limit, supervisor));
            let connected = tokio::select! {
                connected = connecting => connected.map_err(Error::from).flatten(),
                () = supervisor.stopping() => return,
            };
            match connected {
                Ok(link) => {
                    let (since, link) = (clock.monotonic(), Arc::new(link));
                    self.present.store(Some(link.clone()));
                    tell(Change::Back);
                    tokio::select! {
                        () = link.broken.cancelled() => {}
                        () = self.lost.notified() => {}
                        () = supervisor.stopping() => return,
                    }
                    self.present.store(None);
                    link.broken.cancel();
                    tell(Change::Away(
                        "the connection broke, or an answer took too long".into(),
                    ));
                    told = true;
                    if clock.monotonic().saturating_sub(since) >= GOOD {
                        wait = AGAIN.0;
                    }
                }
                Err(error) if !told => {
                    tell(Change::Away(chain(&error)));
                    told = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = clock.sleep(wait) => {}
                () = supervisor.stopping() => return,
            }
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Runs the script.
    pub(super) async fn run(
        &self,
        link: &Link,
        keys: &[String],
        arguments: &[i64],
    ) -> Result<Vec<i64>, Error> {
        let mut command = Cmd::new();
        command.arg("EVALSHA").arg(&link.script).arg(keys.len());
        for key in keys {
            command.arg(key);
        }
        for argument in arguments {
            command.arg(argument);
        }
        let mut connection = link.connection.clone();
        let answer = timeout(self.limit, connection.send_packed_command(&command)).await??;
        let Value::Array(values) = answer else {
            return Err(Error::Answer);
        };
        let number = |value| match value {
            Value::Int(number) => Ok(number),
            _ => Err(Error::Answer),
        };
        values.into_iter().map(number).collect()
    }

    /// Does `what` to `key`: `DEL` or `EXISTS`. Returns how many keys there were.
    pub(super) async fn count(&self, link: &Link, what: &str, key: &str) -> Result<i64, Error> {
        let mut command = Cmd::new();
        command.arg(what).arg(key);
        let mut connection = link.connection.clone();
        match timeout(self.limit, connection.send_packed_command(&command)).await?? {
            Value::Int(count) => Ok(count),
            _ => Err(Error::Answer),
        }
    }
}

fn chain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Undoes the escapes of a part of a URL.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// TLS with the roots of the system.
fn tls_config() -> io::Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_names_host_port_database_and_password() {
        let place = |url: &str| Place::new(&Redacted::new(url.to_owned()));
        let known = place("redis://node:p%40ss@[::1]:7000/3").unwrap();
        assert_eq!((&*known.host, known.port), ("::1", 7000));
        assert_eq!(known.info.db(), 3);
        assert_eq!(known.info.password(), Some("p@ss"));
        assert!(known.tls.is_none());
        let secure = place("rediss://store.example").unwrap();
        assert_eq!((secure.port, secure.tls.is_some()), (6379, true));
        for wrong in [
            "",
            "http://host",
            "redis://host/x",
            "redis:///1",
            "redis://u:%zz@h",
        ] {
            assert!(matches!(place(wrong), Err(Error::Url)), "{wrong}");
        }
    }
}
