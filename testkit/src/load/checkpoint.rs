//! What the checkpoint costs: one gateway with nothing of it, one with all of it, in turns.
//!
//! Contracts of tools cannot be switched off and are in both.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use airside_base::{Clock, Supervisor};
use serde_json::json;
use tokio::runtime::{self, Runtime};

use super::{
    report::{middle, work},
    slices::Measured,
};
use crate::idp::Idp;

/// Names of the two targets.
pub(super) const OFF: &str = "airside, all off";
pub(super) const ON: &str = "airside, all on";
/// What the gateway is known as; nobody connects to it.
const RESOURCE: &str = "https://gateway.example";

/// Everybody may do everything, without a look at arguments or sessions.
pub(super) const PERMIT_ALL: &str = "@id(\"all\") permit (principal, action, resource);\n";

/// The identity provider of the callers, while they are measured.
pub(super) struct Callers {
    idp: Idp,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    runtime: Runtime,
}

impl Callers {
    pub(super) fn start(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let supervisor = Supervisor::new();
        let idp = runtime.block_on(Idp::start(&supervisor, clock.clone()));
        Ok(Self {
            idp,
            clock,
            supervisor,
            runtime,
        })
    }

    /// Returns an access token that outlives the measurement.
    pub(super) fn token(&self) -> String {
        let expires = self.clock.now().as_second() + 3600;
        let audience = format!("{RESOURCE}/mcp");
        self.idp.token(&audience, json!({ "exp": expires }))
    }

    /// Returns the configuration of a gateway that looks at everything.
    pub(super) fn all_on(&self, upstream: &str) -> String {
        let issuer = self.idp.issuer();
        format!(
            r#"data-dir = "data-on"

[listen]
address = "127.0.0.1:0"

[identity.resource]
url = "{RESOURCE}"

[[identity.issuer]]
name = "bench"
url = "{issuer}"

[[upstream]]
name = "load"
url = "{upstream}"

[[endpoint]]
path = "/mcp"
upstreams = ["load"]

[[tool]]
upstream = "load"
labels = ["reads-private"]

[[tool.argument]]
name = "size"
pointer = "/bytes"
type = "integer"

[[limit]]
name = "pace"
rate = "1000000/s"
per = ["client"]

[[limit]]
name = "slots"
concurrent = 10000
per = ["client"]

[[limit]]
name = "person"
rate = "1000000/s"
per = ["user", "tool"]

[[limit]]
name = "plan"
quota = {{ daily = 1000000000 }}
per = ["tenant"]

[firewall.requests]
secret = "block"
personal = "flag"
instruction = "flag"

[firewall.answers]
personal = "flag"
"#
        )
    }

    pub(super) fn stop(self) {
        let stopped = self.supervisor.stop(Duration::from_secs(5));
        self.runtime.block_on(stopped);
    }
}

/// Returns the configuration of a gateway that looks at as little as can be.
pub(super) fn all_off(upstream: &str) -> String {
    format!(
        r#"data-dir = "data-off"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[policy]
files = ["all.cedar"]

[[upstream]]
name = "load"
url = "{upstream}"

[[endpoint]]
path = "/mcp"
upstreams = ["load"]

[firewall]
enabled = false
check-arguments = false
"#
    )
}

/// Renders what all of it costs against none of it, row by row: of each round the turn
/// with all of it is compared with the one beside it without, so that what else the
/// machine did meanwhile is in both.
#[must_use]
pub fn cost(rows: &[Measured]) -> String {
    let mut out = String::from(
        "| all on against all off | sessions | added p50 µs, median of the rounds | added µs cpu/call | calls each |\n\
         | --- | ---: | --- | ---: | ---: |\n",
    );
    for on in rows.iter().filter(|row| row.target == ON) {
        let same = |row: &&Measured| {
            row.target == OFF
                && row.sessions == on.sessions
                && row.shape.bytes == on.shape.bytes
                && row.shape.era == on.shape.era
        };
        let Some(off) = rows.iter().find(same) else {
            continue;
        };
        let rounds = on.rounds_p50_ms.iter().zip(&off.rounds_p50_ms);
        let added = rounds.map(|(on, off)| (on - off) * 1000.0).collect();
        let Some([lowest, median, highest]) = middle(added) else {
            continue;
        };
        let processor = match (on.cpu_us, off.cpu_us) {
            (Some(on), Some(off)) => format!("{:.1}", on - off),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {median:.1} [{lowest:.1}–{highest:.1}] | {processor} | {} |",
            work(on),
            on.sessions,
            on.calls.min(off.calls),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Era, Shape};

    fn row(target: &str, rounds_p50_ms: &[f64], cpu_us: f64) -> Measured {
        Measured {
            target: target.to_owned(),
            shape: Shape {
                era: Era::Modern,
                tool: "look_00".to_owned(),
                bytes: 1024,
            },
            sessions: 1,
            offered_per_s: None,
            calls: 7,
            per_s: 1.0,
            rounds_per_s: vec![1.0; rounds_p50_ms.len()],
            rounds_p50_ms: rounds_p50_ms.to_vec(),
            p50_ms: 9.0,
            p90_ms: 9.0,
            p99_ms: 9.0,
            p999_ms: 9.0,
            cpu_us: Some(cpu_us),
            resident_mib: None,
            peak_mib: None,
            other_cores: 0.0,
        }
    }

    #[test]
    fn what_a_round_was_disturbed_by_is_in_both_of_its_turns() {
        let rows = [
            row(OFF, &[0.10, 0.90, 0.12], 60.0),
            row(ON, &[0.16, 0.97, 0.17], 101.5),
        ];
        let cost = cost(&rows);
        assert_eq!(
            cost.lines().last(),
            Some("| call 2026-07-28 1 KiB | 1 | 60.0 [50.0–70.0] | 41.5 | 7 |")
        );
    }
}
