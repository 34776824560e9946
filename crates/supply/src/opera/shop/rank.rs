//! Which offer of a hotel is shown, and in which order hotels are.

use airside_base::Timestamp;
use airside_travel::supply::{self, Candidate, Offer, Order, Search};

use super::super::{Mapped, Opera};

const RECOMMENDED: &str = "Recommended: price against the median of these results, distance to the \
     centre, and guest rating where it is known. No hotel paid for its position.";

/// Returns the cheapest offer that passes the filter.
pub(super) fn pick(
    offers: Vec<(Offer, Option<Timestamp>)>,
    search: &Search,
    (hotel, distance_m): (&Mapped, u32),
    opera: &Opera,
) -> Option<Candidate> {
    let Search { ask, filter, .. } = search;
    let now = opera.clock.now();
    let room_nights = (ask.stay.length() * ask.parties.len()) as i64;
    let fits = |offer: &Offer| {
        let free = !filter.free_cancellation || offer.cancellation.penalty(now) == 0;
        let most = filter.max_per_night;
        let most = most.is_none_or(|most| offer.price.total <= most.saturating_mul(room_nights));
        free && most
    };
    let mut fitting = offers.into_iter().filter(|(offer, _)| fits(offer));
    let (offer, as_of) = fitting.next()?;
    Some(Candidate {
        hotel: opera.brief(hotel),
        offer,
        distance_m,
        as_of,
    })
}

pub(super) fn arrange(hits: &mut [Candidate], order: Order) {
    let id = |hit: &Candidate| hit.hotel.id.clone();
    match order {
        Order::Price => hits.sort_by_key(|hit| (hit.offer.price.total, id(hit))),
        Order::Stars => hits.sort_by_key(|hit| {
            let stars = std::cmp::Reverse(hit.hotel.stars);
            (stars, hit.offer.price.total, id(hit))
        }),
        Order::Distance => hits.sort_by_key(|hit| (hit.distance_m, id(hit))),
        Order::Recommended => {
            let mut totals: Vec<_> = hits.iter().map(|hit| hit.offer.price.total).collect();
            totals.sort_unstable();
            let median = totals.get(totals.len() / 2).copied().unwrap_or(1).max(1);
            hits.sort_by_key(|hit| (std::cmp::Reverse(score(hit, median)), id(hit)));
        }
    }
}

/// Points: see [`RECOMMENDED`].
fn score(hit: &Candidate, median: i64) -> i64 {
    let rating = hit.hotel.rating.map_or(350, |rating| i64::from(rating) * 5);
    let price = 400 * median / hit.offer.price.total.max(median);
    rating + price + 100 * 3_000 / (3_000 + i64::from(hit.distance_m))
}

pub(super) fn explanation(order: Order) -> &'static str {
    match order {
        Order::Recommended => RECOMMENDED,
        order => supply::explanation(order),
    }
}
