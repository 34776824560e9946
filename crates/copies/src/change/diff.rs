//! Which lines of a text are new.

use std::hash::{Hash as _, Hasher as _};

use rustc_hash::{FxHashMap, FxHasher};

use super::{FileChange, Lines};

/// Most edits that are followed; beyond, lines count as kept where the same line was.
const MOST: usize = 1_500;

/// Compares two texts line by line.
pub fn compare(before: &[u8], after: &[u8]) -> FileChange {
    let (old, new) = (lines(before), lines(after));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..]
        .iter()
        .rev()
        .zip(new[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (old, middle) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let kept = kept(old, middle);
    let mut added: Vec<Lines> = Vec::new();
    for (at, _) in kept.iter().enumerate().filter(|(_, kept)| !**kept) {
        let line = (head + at + 1) as u32;
        match added.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => added.push((line, line)),
        }
    }
    let stayed = kept.iter().filter(|kept| **kept).count();
    FileChange {
        added,
        removed: old.len().saturating_sub(stayed),
        before: None,
    }
}

fn lines(text: &[u8]) -> Vec<u64> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    let hash = |line: &[u8]| {
        let mut hasher = FxHasher::default();
        line.strip_suffix(b"\r").unwrap_or(line).hash(&mut hasher);
        hasher.finish()
    };
    text.split(|byte| *byte == b'\n').map(hash).collect()
}

/// Returns for each line of `new` whether it is one of `old` that stayed (Myers, 1986).
fn kept(old: &[u64], new: &[u64]) -> Vec<bool> {
    let mut kept = vec![false; new.len()];
    if old.is_empty() || new.is_empty() {
        return kept;
    }
    let most = (old.len() + new.len()).min(MOST);
    let offset = most as i64 + 1;
    let mut reach = vec![0_i64; 2 * most + 3];
    let mut history: Vec<Vec<i64>> = Vec::new();
    let at = |k: i64| (k + offset) as usize;
    for edits in 0..=most as i64 {
        let low = at(-edits - 1);
        history.push(reach[low..=at(edits + 1)].to_vec());
        for k in (-edits..=edits).step_by(2) {
            let down = k == -edits || (k != edits && reach[at(k - 1)] < reach[at(k + 1)]);
            let mut x = if down {
                reach[at(k + 1)]
            } else {
                reach[at(k - 1)] + 1
            };
            while (x as usize) < old.len()
                && ((x - k) as usize) < new.len()
                && old[x as usize] == new[(x - k) as usize]
            {
                x += 1;
            }
            reach[at(k)] = x;
            if x as usize >= old.len() && (x - k) as usize >= new.len() {
                trace(&history, (old.len() as i64, new.len() as i64), &mut kept);
                return kept;
            }
        }
    }
    let mut left: FxHashMap<u64, usize> = FxHashMap::default();
    for line in old {
        *left.entry(*line).or_default() += 1;
    }
    for (kept, line) in kept.iter_mut().zip(new) {
        if let Some(count) = left.get_mut(line).filter(|count| **count > 0) {
            *count -= 1;
            *kept = true;
        }
    }
    kept
}

/// Walks the edits back and marks the lines on diagonals.
fn trace(history: &[Vec<i64>], (mut x, mut y): (i64, i64), kept: &mut [bool]) {
    for (edits, reach) in history.iter().enumerate().rev() {
        let edits = edits as i64;
        // The slice begins at diagonal `-edits - 1`.
        let at = |k: i64| reach[(k + edits + 1) as usize];
        let k = x - y;
        let down = k == -edits || (k != edits && at(k - 1) < at(k + 1));
        let before = if down { k + 1 } else { k - 1 };
        let (px, py) = match edits {
            0 => (0, 0),
            _ => (at(before), at(before) - before),
        };
        while x > px && y > py {
            x -= 1;
            y -= 1;
            kept[y as usize] = true;
        }
        (x, y) = (px, py);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(before: &str, after: &str, added: &[Lines]) {
        assert_eq!(
            compare(before.as_bytes(), after.as_bytes()).added,
            added,
            "{after}"
        );
    }

    #[test]
    fn added_lines_are_named() {
        check("a\nb\nc\n", "a\nb\nc\n", &[]);
        check("", "a\nb\n", &[(1, 2)]);
        check("a\nc\n", "a\nb\nc\n", &[(2, 2)]);
        check("a\nb\nc\nd\n", "a\nx\nc\ny\nz\nd\n", &[(2, 2), (4, 5)]);
        check("a\r\nb\r\n", "a\nb\n", &[]);
    }

    #[test]
    fn huge_difference_is_bounded() {
        let text = |from: usize| {
            (from..from + 30_000)
                .map(|n| format!("{n}\n"))
                .collect::<String>()
        };
        let found = compare(text(0).as_bytes(), text(15_000).as_bytes());
        let added: u32 = found.added.iter().map(|(from, to)| to - from + 1).sum();
        assert_eq!(added, 15_000);
    }

    fn longest(old: &[u8], new: &[u8]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for a in old {
            let mut diagonal = 0;
            for (at, b) in new.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if a == b {
                    diagonal + 1
                } else {
                    above.max(row[at])
                };
                diagonal = above;
            }
        }
        row[new.len()]
    }

    proptest! {
        #[test]
        fn as_many_lines_stay_as_can(
            old in proptest::collection::vec(0_u8..5, 0..30),
            new in proptest::collection::vec(0_u8..5, 0..30),
        ) {
            let [one, other] = [&old, &new]
                .map(|text| text.iter().map(|line| u64::from(*line)).collect::<Vec<u64>>());
            let stayed = kept(&one, &other);
            let count = stayed.iter().filter(|kept| **kept).count();
            prop_assert_eq!(count, longest(&old, &new));
        }
    }
}
