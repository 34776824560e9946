//! A real server that speaks the protocols of S3 and of AWS KMS for tests: moto, as a
//! process beside.
//!
//! `AIRSIDE_TEST_S3` names one that is already running; without it `moto_server` is
//! started on a free loopback port and stopped when the value is dropped.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A server.
pub struct Server {
    address: String,
    _process: Option<Process>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns what `scripts/lib.sh` has installed, or what is on the path.
fn program() -> PathBuf {
    let tools = std::env::var_os("AIRSIDE_TOOLS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let tools = tools.or_else(|| cache.or(home).map(|cache| cache.join("airside")));
    let installed = tools.map(|tools| tools.join("s3/bin/moto_server"));
    let installed = installed.filter(|file| file.exists());
    installed.unwrap_or_else(|| "moto_server".into())
}

impl Server {
    /// Returns the server that the environment names, or starts one.
    ///
    /// # Errors
    ///
    /// When none is named and `moto_server` is not installed or does not start.
    pub fn start() -> Result<Self> {
        if let Ok(url) = std::env::var("AIRSIDE_TEST_S3") {
            let address = url.strip_prefix("http://").context("AIRSIDE_TEST_S3")?;
            let address = address.trim_end_matches('/').to_owned();
            return Ok(Self {
                address,
                _process: None,
            });
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = Command::new(program())
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start moto_server, which `scripts/test tests` installs")?;
        let errors = child.stderr.take().context("its messages")?;
        let process = Process(child);
        let mut lines = BufReader::new(errors).lines();
        let running = lines.by_ref().find_map(|line| match line {
            Ok(line) if line.contains("Running on") => Some(Ok(())),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        });
        running.context("moto_server did not start")??;
        // It stops when nobody reads what it says.
        std::thread::Builder::new().spawn(move || lines.for_each(drop))?;
        Ok(Self {
            address: format!("127.0.0.1:{port}"),
            _process: Some(process),
        })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes a bucket of its own for one test and returns its name.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn bucket(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bucket-{}-{number}", std::process::id());
        self.ask("s3", &format!("PUT /{name}"), "", "")?;
        Ok(name)
    }

    /// Makes a key of its own for one test and returns its ARN.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn kms_key(&self) -> Result<String> {
        let made = self.kms("CreateKey", "{}")?;
        let arn = made.split('"').find(|part| part.starts_with("arn:"));
        Ok(arn.context("no ARN")?.to_owned())
    }

    /// Does `operation` of KMS as its administrator, and returns the answer.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn kms(&self, operation: &str, asked: &str) -> Result<String> {
        let target = format!(
            "Content-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: TrentService.{operation}\r\n"
        );
        self.ask("kms", "POST /", &target, asked)
    }

    fn ask(&self, service: &str, what: &str, headers: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(ANSWER))?;
        // Nobody checks the signature; the header says which service is meant.
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\
             {headers}\
             Authorization: AWS4-HMAC-SHA256 Credential=x/20261123/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=x\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{what}: {answer}");
        Ok(answer)
    }
}
