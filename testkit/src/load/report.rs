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
pub(super) fn work(row: &Measured) -> String {
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

/// Compares each row with the direct one of the same work: the ratio of answered
/// calls (median of the rounds, lowest and highest) and what is added to half of
/// the calls.
#[must_use]
pub fn ratios(rows: &[Measured]) -> String {
    let mut out = String::from(
        "| work | sessions | target | throughput / direct | added p50 ms |\n\
         | --- | ---: | --- | --- | ---: |\n",
    );
    for row in rows {
        let direct = rows.iter().find(|other| {
            other.target == "direct" && other.sessions == row.sessions && work(other) == work(row)
        });
        let Some(direct) = direct.filter(|_| row.target != "direct") else {
            continue;
        };
        let rounds = row.rounds_per_s.iter().zip(&direct.rounds_per_s);
        let ratios = rounds.map(|(through, direct)| through / direct).collect();
        let Some([lowest, median, highest]) = middle(ratios) else {
            continue;
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {median:.2} [{lowest:.2}–{highest:.2}] | {:.3} |",
            work(row),
            row.sessions,
            row.target,
            row.p50_ms - direct.p50_ms,
        );
    }
    out
}

/// Returns the lowest of `values`, their median and the highest; none of none.
pub(super) fn middle(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let (lowest, highest) = (*values.first()?, *values.last()?);
    let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
    Some([lowest, median, highest])
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

    fn row(target: &str, rounds: &[f64], p50_ms: f64) -> Measured {
        Measured {
            target: target.to_owned(),
            shape: super::super::Shape {
                era: super::super::Era::Modern,
                tool: "look_00".to_owned(),
                bytes: 1024,
            },
            sessions: 32,
            offered_per_s: None,
            calls: 1,
            per_s: 1.0,
            rounds_per_s: rounds.to_vec(),
            rounds_p50_ms: vec![p50_ms; rounds.len()],
            p50_ms,
            p90_ms: 1.0,
            p99_ms: 1.0,
            p999_ms: 1.0,
            cpu_us: Some(60.0),
            resident_mib: None,
            peak_mib: None,
            other_cores: 0.0,
        }
    }

    #[test]
    fn gateway_is_compared_with_the_direct_row() {
        let rows = [
            row("direct", &[100.0, 200.0, 100.0], 0.05),
            row("airside", &[50.0, 80.0, 30.0], 0.15),
        ];
        let ratios = ratios(&rows);
        let last = ratios.lines().last().unwrap();
        assert_eq!(
            last,
            "| call 2026-07-28 1 KiB | 32 | airside | 0.40 [0.30–0.50] | 0.100 |"
        );
    }

    #[test]
    fn peers_follow_the_rows_of_the_same_work() {
        let peers = peers("| call 2026-07-28 1 KiB | 32 | other | 9 | 8 | 7 | 6 | 5 |");
        let rows = [row("direct", &[1.0], 0.1), row("airside", &[1.0], 0.1)];
        let table = table(&rows, &peers);
        let targets: Vec<_> = table
            .lines()
            .skip(2)
            .map(|line| line.split('|').nth(3))
            .collect();
        assert_eq!(
            targets,
            [Some(" direct "), Some(" airside "), Some(" *other* ")]
        );
    }

    #[test]
    fn heading_is_no_peer() {
        assert_eq!(
            peers("| work | sessions | target | a | b | c | d | e |\n| --- |\ntext"),
            []
        );
    }
}
