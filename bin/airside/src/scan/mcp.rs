//! `airside scan mcp …`.
//!
//! # Invariants
//!
//! * A configuration is read, never acted on: only `--start` starts what it names.
//! * A secret that is found is told by its place and a digest.
//! * What could not be assessed is a finding of its own, so that silence means that
//!   somebody looked.

use std::{cmp::Reverse, fs::File, io::Read as _, path::Path};

use airside_base::{Fault, Finding, Kind, Place};
use airside_contracts::scan::{self, Offer, client};
use serde_json::json;
use url::Url;

use super::{live, sarif};
use crate::{
    cli,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    target::{self, block_on},
    text::visible,
};

/// What was scanned.
#[derive(Default)]
struct Scanned {
    found: Vec<Finding>,
    offers: Vec<Offer>,
}

pub(super) fn run(args: &cli::scan::ScanMcp, out: &mut Out) -> Result<(), Failure> {
    let mut scanned = Scanned::default();
    for target in &args.targets {
        match Url::parse(target) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                let key = target::read_key(args.key_file.as_deref())?;
                let asking = async { Ok(live::url(&url, key, args.timeout).await) };
                let (found, offer) = block_on(asking)?;
                scanned.found.extend(found);
                scanned.offers.extend(offer);
            }
            _ => scanned.file(target, args)?,
        }
    }
    scanned.found.extend(scan::tools(&scanned.offers));
    let found = &mut scanned.found;
    found.sort_by(|one, next| {
        let key = |finding: &Finding| (Reverse(finding.severity), finding.subject.clone());
        key(one).cmp(&key(next)).then(one.rule.cmp(&next.rule))
    });
    found.dedup_by(|one, next| one.fingerprint == next.fingerprint && one.place == next.place);
    show(args, &scanned, out)?;
    judge(args, &scanned.found)
}

impl Scanned {
    /// Reads the configuration of a client.
    fn file(&mut self, path: &str, args: &cli::scan::ScanMcp) -> Result<(), Failure> {
        let text = read(Path::new(path))?;
        let servers = match client::read(&text, client::Form::of(path)) {
            Ok(servers) => servers,
            Err(error) => {
                let finding = scan::rule("unreadable").finding(path, error.to_string(), "file");
                self.found.push(finding.at(path, None));
                return Ok(());
            }
        };
        let launches = servers.iter();
        self.found
            .extend(launches.flat_map(|server| scan::launches(path, server)));
        if !args.start {
            return Ok(());
        }
        block_on(async {
            for server in &servers {
                let place = Place {
                    file: path.to_owned(),
                    line: server.line,
                };
                match live::start(server, &place, args.timeout).await {
                    Some(Ok(offer)) => self.offers.push(offer),
                    Some(Err(finding)) => self.found.push(finding),
                    None => {}
                }
            }
            Ok(())
        })
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |why: String| {
        let fault = Fault::new(
            Kind::Invalid,
            "CLI-052",
            format!("{} cannot be read: {why}", path.display()),
        );
        Failure::new(
            Exit::Usage,
            fault.with_hint("name the configuration file of a client, or the URL of a server"),
        )
    };
    let mut bytes = Vec::new();
    let limit = client::MAX_BYTES as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not text".to_owned()))
}

fn show(args: &cli::scan::ScanMcp, scanned: &Scanned, out: &mut Out) -> Result<(), Failure> {
    if args.sarif {
        return out.json_pretty(&sarif::document(&scanned.found, &scan::RULES));
    }
    if out.is_json() {
        let servers = scanned.offers.iter();
        let servers: Vec<_> = servers
            .map(|offer| json!({ "server": offer.server, "tools": offer.tools.len() }))
            .collect();
        return out.json_pretty(&json!({ "findings": scanned.found, "servers": servers }));
    }
    for offer in &scanned.offers {
        let (server, count) = (visible(&offer.server), offer.tools.len());
        out.line(&format!("{server}: {count} tools"))?;
    }
    if scanned.found.is_empty() {
        return out.line("nothing was found");
    }
    let rows: Vec<_> = scanned.found.iter().map(row).collect();
    let headings = [
        ("SEVERITY", Align::Left),
        ("RULE", Align::Left),
        ("WHAT", Align::Left),
        ("WHY", Align::Left),
        ("WHERE", Align::Left),
        ("FINGERPRINT", Align::Left),
    ];
    out.line(&table(&headings, &rows))
}

fn row(finding: &Finding) -> Vec<String> {
    let place = finding.place.as_ref().map(|place| match place.line {
        Some(line) => format!("{}:{line}", visible(&place.file)),
        None => visible(&place.file),
    });
    vec![
        finding.severity.to_string(),
        finding.rule.to_string(),
        visible(&finding.subject),
        visible(&finding.message),
        place.unwrap_or_default(),
        finding.fingerprint.chars().take(12).collect(),
    ]
}

/// Whether the findings are bad enough to fail.
fn judge(args: &cli::scan::ScanMcp, found: &[Finding]) -> Result<(), Failure> {
    let count = |wanted: &dyn Fn(&Finding) -> bool| found.iter().filter(|f| wanted(f)).count();
    if let Some(lowest) = args.fail_on {
        let bad = count(&|finding| finding.severity >= lowest);
        if bad > 0 {
            return Err(failed(
                "CLI-053",
                format!("{bad} findings are {lowest} or worse"),
            ));
        }
    }
    let open = count(&|finding| is_open(finding));
    if args.fail_incomplete && open > 0 {
        return Err(failed(
            "CLI-054",
            format!("{open} places could not be assessed"),
        ));
    }
    Ok(())
}

/// Whether the finding is that nobody could look.
fn is_open(finding: &Finding) -> bool {
    matches!(&*finding.rule, "unreachable" | "unreadable")
}

fn failed(code: &'static str, what: String) -> Failure {
    let fault = Fault::new(Kind::Invalid, code, what);
    let fault = fault.with_hint("docs/scan-mcp.md says what to do about each rule");
    Failure::new(Exit::Failed, fault)
}
