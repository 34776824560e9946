//! From matches to classes of places.

use rustc_hash::FxHashMap;

use super::{Class, Corpus, Likeness, Place, Span, sweep::Match};

/// Returns the lines that are part of an exact match.
pub(super) fn count_lines(exact: &[Match]) -> usize {
    let mut spans: Vec<(u32, u32, u32)> = exact
        .iter()
        .flat_map(|one| [(one.pair.one, one.lines[0]), (one.pair.other, one.lines[1])])
        .map(|(span, (from, to))| (span.file, from, to))
        .collect();
    spans.sort_unstable();
    let (mut count, mut file, mut done) = (0, u32::MAX, 0);
    for (of, from, to) in spans {
        if of != file {
            (file, done) = (of, 0);
        }
        let from = from.max(done + 1);
        if to >= from {
            count += (to - from + 1) as usize;
            done = to;
        }
    }
    count
}

/// Returns the classes of exact and renamed matches.
pub(super) fn classes(corpus: &Corpus<'_>, [exact, renamed]: [&[Match]; 2]) -> Vec<Class> {
    let mut cover = Cover(vec![Vec::new(); corpus.files.len()]);
    let mut classes = gather(corpus, exact, Likeness::Exact, &mut cover);
    classes.extend(gather(corpus, renamed, Likeness::Renamed, &mut cover));
    classes
}

/// How many places the largest class over each token has.
struct Cover(Vec<Vec<u32>>);

impl Cover {
    fn is_inside(&self, span: Span, places: u32) -> bool {
        let tokens = &self.0[span.file as usize];
        let range = span.start as usize..(span.start + span.len) as usize;
        tokens
            .get(range)
            .is_some_and(|covered| covered.iter().all(|count| *count >= places))
    }

    fn add(&mut self, corpus: &Corpus<'_>, span: Span, places: u32) {
        let tokens = &mut self.0[span.file as usize];
        if tokens.is_empty() {
            tokens.resize(corpus.len(span.file) as usize, 0);
        }
        let range = span.start as usize..(span.start + span.len) as usize;
        for count in &mut tokens[range] {
            *count = places.max(*count);
        }
    }
}

/// A place, and its lines.
type Spot = (Span, (u32, u32));

/// Joins matches of the same content to classes, and leaves out classes that lie within
/// larger ones of as many places.
fn gather(
    corpus: &Corpus<'_>,
    matches: &[Match],
    likeness: Likeness,
    cover: &mut Cover,
) -> Vec<Class> {
    let mut by_content: FxHashMap<(u64, u64), Vec<Spot>> = FxHashMap::default();
    for one in matches {
        let spots = by_content.entry(one.content).or_default();
        spots.extend([(one.pair.one, one.lines[0]), (one.pair.other, one.lines[1])]);
    }
    let mut all: Vec<((u64, u64), Vec<Spot>)> = by_content.into_iter().collect();
    for (_, spots) in &mut all {
        spots.sort_unstable();
        spots.dedup();
        // A run that meets itself gives places that overlap; the first of them stay.
        let mut end = (u32::MAX, 0);
        spots.retain(|(span, _)| {
            let stays = span.file != end.0 || span.start >= end.1;
            if stays {
                end = (span.file, span.start + span.len);
            }
            stays
        });
    }
    all.sort_unstable_by_key(|(content, spots)| (std::cmp::Reverse(spots[0].0.len), *content));
    let mut kept = Vec::new();
    for (content, spots) in all {
        let places = u32::try_from(spots.len()).unwrap_or(u32::MAX);
        if places < 2 || spots.iter().all(|(span, _)| cover.is_inside(*span, places)) {
            continue;
        }
        for (span, _) in &spots {
            cover.add(corpus, *span, places);
        }
        kept.push(class(corpus, &spots, likeness, content));
    }
    kept
}

fn class(corpus: &Corpus<'_>, spots: &[Spot], likeness: Likeness, content: (u64, u64)) -> Class {
    let places = spots.iter().map(|(span, (from, to))| Place {
        path: corpus.path(span.file).to_owned(),
        from: *from,
        to: *to,
    });
    let mut places: Vec<Place> = places.collect();
    places.sort_unstable();
    Class {
        likeness,
        tokens: spots[0].0.len as usize,
        places,
        content: format!("{:016x}{:016x}", content.0, content.1),
    }
}
