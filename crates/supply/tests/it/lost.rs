//! Answers that are lost on their way, before and after the effect, at every step: what
//! comes of it is exactly one reservation, or none where none was agreed to.

use std::time::Duration;

use airside_supply::opera::Opera;
use airside_testkit::opera::{Options, Sold, Status, Step, Trouble};
use airside_travel::supply::{Error, HotelSupply, Reference, Reservation, State};

use crate::opera::{Rig, TIMEOUT, TTL, guest, until, wanted};

const TROUBLES: [Trouble; 8] = [
    Trouble::SilentBefore,
    Trouble::SilentAfter,
    Trouble::Status(503),
    Trouble::Status(500),
    Trouble::Status(429),
    Trouble::StatusAfter(500),
    Trouble::Garbled,
    Trouble::Torn,
];

fn reference(name: &str) -> Reference {
    name.parse().expect("the test's name is a reference")
}

/// Waits for an answer while the clock runs on whenever OPERA keeps silent.
async fn patiently<T>(rig: &Rig, asked: impl Future<Output = T>) -> T {
    let mut asked = std::pin::pin!(asked);
    loop {
        let idle = async {
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            done = &mut asked => return done,
            () = idle => rig.clock.advance(TIMEOUT / 4),
        }
    }
}

/// Does as the booking desk does: an unknown outcome is read back until it is known.
async fn settled(
    rig: &Rig,
    name: &Reference,
    asked: impl Future<Output = Result<Reservation, Error>>,
) -> Result<Option<Reservation>, Error> {
    match patiently(rig, asked).await {
        Ok(done) => Ok(Some(done)),
        Err(Error::Unknown) => {
            for _ in 0..60 {
                match patiently(rig, rig.opera.find(name)).await {
                    Ok(found) => return Ok(found),
                    Err(Error::Unknown | Error::Unavailable { .. }) => {
                        rig.clock.advance(Duration::from_secs(11));
                    }
                    Err(error) => return Err(error),
                }
            }
            panic!("{name} never settles");
        }
        Err(error) => Err(error),
    }
}

/// Repeats what certainly was not done.
async fn insist<'a, F>(rig: &'a Rig, name: &Reference, ask: impl Fn(&'a Opera) -> F) -> Reservation
where
    F: Future<Output = Result<Reservation, Error>>,
{
    for _ in 0..12 {
        match settled(rig, name, ask(&rig.opera)).await {
            Ok(Some(reservation)) => return reservation,
            Ok(None) => {}
            Err(Error::Unavailable { retry_after }) => rig.clock.advance(retry_after),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    panic!("{name} is never done");
}

fn live(sold: &[Sold]) -> Vec<&Sold> {
    sold.iter()
        .filter(|sold| sold.status != Status::Ignored)
        .collect()
}

#[tokio::test]
async fn lost_answers_never_book_twice_nor_lose_a_booking() {
    for step in [Step::Create, Step::Modify, Step::Status] {
        for trouble in TROUBLES {
            let rig = Rig::new().await;
            let mut name = reference("lost-1");
            let wanted = wanted("SUITE", 2, 1);
            rig.simulator.trouble(step, trouble);
            let mut held = insist(&rig, &name, |opera| opera.hold(&name, &wanted, TTL)).await;
            if matches!(held.state, State::Expired { .. }) {
                // It never got there: the traveller begins again.
                assert_eq!(step, Step::Create, "{trouble:?}");
                name = reference("lost-1-again");
                held = insist(&rig, &name, |opera| opera.hold(&name, &wanted, TTL)).await;
            }
            assert!(
                matches!(held.state, State::Held { .. }),
                "{step:?} {trouble:?}: {held:?}"
            );
            let mut booked = held;
            let guest = guest();
            while !matches!(booked.state, State::Booked { .. }) {
                booked = insist(&rig, &name, |opera| opera.commit(&name, &guest)).await;
            }
            let sold = rig.simulator.reservations();
            let sold = live(&sold);
            let [only] = sold.as_slice() else {
                panic!("{step:?} {trouble:?}: {sold:?}");
            };
            assert_eq!(only.status, Status::Reserved, "{step:?} {trouble:?}");
            assert_eq!(Some(&*only.number), booked.confirmation());
            // One letter is too short a name for OPERA.
            assert_eq!(only.guest, "L.");
            assert_eq!(rig.simulator.troubles_left(), 0, "{step:?} {trouble:?}");
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn lost_answers_change_and_cancel_once() {
    for trouble in TROUBLES {
        let rig = Rig::new().await;
        let name = reference("lost-2");
        let (short, long) = (wanted("A1K", 2, 1), wanted("A1K", 3, 1));
        rig.opera.hold(&name, &short, TTL).await.unwrap();
        rig.opera.commit(&name, &guest()).await.unwrap();
        let change = reference("change-2");
        rig.simulator.trouble(Step::Modify, trouble);
        let mut now = rig.opera.find(&name).await.unwrap().unwrap();
        while now.change.as_ref() != Some(&change) {
            now = insist(&rig, &name, |opera| opera.modify(&name, &change, &long)).await;
        }
        assert!(now.is_of(&long), "{trouble:?}: {now:?}");
        rig.simulator.trouble(Step::Cancel, trouble);
        while !matches!(now.state, State::Cancelled { .. }) {
            now = insist(&rig, &name, |opera| opera.cancel(&name, 1_000_000)).await;
        }
        let sold = rig.simulator.reservations();
        let [only] = sold.as_slice() else {
            panic!("{trouble:?}: {sold:?}");
        };
        assert_eq!(only.status, Status::Cancelled, "{trouble:?}");
        assert_eq!(only.stay.1, long.stay.check_out());
        rig.stop().await;
    }
}

#[tokio::test]
async fn hold_that_cannot_be_found_again_is_unknown_until_its_time_is_over() {
    let rig = Rig::with(Options {
        by_own_id: false,
        ..Options::default()
    })
    .await;
    let name = reference("lost-3");
    let wanted = wanted("SUITE", 2, 1);
    rig.simulator.trouble(Step::Create, Trouble::SilentAfter);
    let asked = patiently(&rig, rig.opera.hold(&name, &wanted, TTL)).await;
    assert_eq!(asked, Err(Error::Unknown));
    // Not found proves nothing yet.
    assert_eq!(
        patiently(&rig, rig.opera.find(&name)).await,
        Err(Error::Unknown)
    );
    let again = patiently(&rig, rig.opera.hold(&name, &wanted, TTL)).await;
    assert_eq!(again, Err(Error::Unknown));
    rig.clock.advance(TTL + Duration::from_secs(60));
    let found = patiently(&rig, rig.opera.find(&name))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(found.state, State::Expired { .. }), "{found:?}");
    let sold = rig.simulator.reservations();
    assert_eq!(
        sold.iter()
            .filter(|sold| sold.status == Status::Reserved)
            .count(),
        0
    );
    rig.stop().await;
}

#[tokio::test]
async fn crash_in_the_middle_of_a_commit_leaves_one_booking() {
    for trouble in [Trouble::SilentAfter, Trouble::SilentBefore] {
        let mut rig = Rig::new().await;
        let name = reference("crash-1");
        rig.opera
            .hold(&name, &wanted("SUITE", 2, 1), TTL)
            .await
            .unwrap();
        rig.simulator.trouble(Step::Status, trouble);
        let asked = async {
            rig.opera
                .commit(&name, &guest())
                .await
                .expect_err("it is never answered");
        };
        let reached = async {
            until(|| rig.simulator.troubles_left() == 0).await;
            let done = || rig.simulator.reservations()[0].status == Status::Reserved;
            if trouble == Trouble::SilentAfter {
                until(done).await;
            }
        };
        tokio::select! {
            () = asked => panic!("it was answered"),
            () = reached => {}
        }
        rig.crash().await;
        let found = rig.opera.find(&name).await.unwrap().unwrap();
        assert_eq!(
            matches!(found.state, State::Booked { .. }),
            trouble == Trouble::SilentAfter,
            "{found:?}"
        );
        // The booking desk asks again for what is still held; for what is booked that
        // changes nothing.
        let booked = rig.opera.commit(&name, &guest()).await.unwrap();
        let sold = rig.simulator.reservations();
        let sold = live(&sold);
        assert_eq!(sold.len(), 1);
        assert_eq!(Some(&*sold[0].number), booked.confirmation());
        rig.stop().await;
    }
}

#[tokio::test]
async fn two_nodes_with_one_request_book_once() {
    let rig = Rig::new().await;
    let name = reference("twice-1");
    let wanted = wanted("SUITE", 2, 1);
    let hold = || rig.opera.hold(&name, &wanted, TTL);
    let (a, b, c) = tokio::join!(hold(), hold(), hold());
    assert!(a.is_ok() && a == b && b == c, "{a:?} {b:?} {c:?}");
    let guest = guest();
    let commit = || rig.opera.commit(&name, &guest);
    let (a, b) = tokio::join!(commit(), commit());
    assert!(a.is_ok() && a == b, "{a:?} {b:?}");
    assert_eq!(live(&rig.simulator.reservations()).len(), 1);
    rig.stop().await;
}
