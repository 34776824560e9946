//! Figures as tables, and the figures of others beside them.

use std::fmt::Write as _;

use super::slices::Measured;

/// What was measured of another gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// `call 2025-11-25 1 KiB`, as in the file.
    pub work: String,
    /// How many sessions were open.
    pub sessions: usize,
    /// Name of the peer.
    pub target: String,
    /// Calls a second, p50 and p99 in ms, µs of processor time, MiB; as written.
    pub figures: [String; 5],
}

/// Reads the rows of the tables in `bench/peers.md`.
#[must_use]
pub fn peers(page: &str) -> Vec<Peer> {
    page.lines()
        .filter_map(|line| {
            let cells: Vec<_> = line
                .trim()
                .trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect();
            let [work, sessions, target, figures @ ..] = &cells[..] else {
                return None;
            };
            Some(Peer {
                work: (*work).to_owned(),
                sessions: sessions.parse().ok()?,
                target: (*target).to_owned(),
                figures: figures
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .try_into()
                    .ok()?,
            })
        })
        .collect()
}

/// Names the work of a row as `bench/peers.md` does.
fn work(row: &Measured) -> String {
    let era = match row.shape.era {
        super::Era::Modern => "2026-07-28",
        super::Era::Handshake => "2025-11-25",
    };
    let loop_ = match row.offered_per_s {
        Some(rate) => format!(" at {rate:.0}/s"),
        None => String::new(),
    };
    format!("call {era} {} KiB{loop_}", row.shape.bytes / 1024)
}

/// Renders `rows`, each followed by the peers that did the same work.
#[must_use]
pub fn table(rows: &[Measured], peers: &[Peer]) -> String {
    let mut out = String::from(
        "| work | sessions | target | req/s | p50 ms | p90 | p99 | p99.9 | µs cpu/call | RSS MiB | other cores |\n\
         | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    for (index, row) in rows.iter().enumerate() {
        let work = work(row);
        let _ = writeln!(
            out,
            "| {work} | {} | {} | {:.0} | {:.3} | {:.3} | {:.3} | {:.2} | {} | {} | {:.2} |",
            row.sessions,
            row.target,
            row.per_s,
            row.p50_ms,
            row.p90_ms,
            row.p99_ms,
            row.p999_ms,
            number(row.cpu_us, 1),
            number(row.resident_mib, 1),
            row.other_cores,
        );
        let same = |row: &Measured, other: &Measured| {
            other.sessions == row.sessions && self::work(other) == self::work(row)
        };
        if rows.get(index + 1).is_some_and(|next| same(row, next)) {
            continue;
        }
        for peer in peers {
            if peer.work == work && peer.sessions == row.sessions {
                let [per_s, p50, p99, cpu, memory] = &peer.figures;
                let _ = writeln!(
                    out,
                    "| {work} | {} | *{}* | {per_s} | {p50} | | {p99} | | {cpu} | {memory} | |",
                    peer.sessions, peer.target,
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_peers_can_be_read() {
        let peers = peers(include_str!("../../../bench/peers.md"));
        let found = peers.iter().find(|peer| {
            peer.work == "call 2025-11-25 1 KiB"
                && peer.sessions == 32
                && peer.target == "agentgateway"
        });
        let cpu = found.map(|peer| peer.figures[3].as_str());
        assert_eq!(cpu, Some("155"), "{peers:?}");
    }

    #[test]
    fn heading_is_no_peer() {
        assert_eq!(
            peers("| work | sessions | target | a | b | c | d | e |\n| --- |\ntext"),
            []
        );
    }
}
