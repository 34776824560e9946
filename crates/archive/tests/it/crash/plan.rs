//! What one seed decides.

use airside_ledger::failpoint::Point;

/// SplitMix64: the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Where the ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By its own hand (SIGKILL), when it comes to `point` for the `hit`th time.
    At { point: Point, hit: u64 },
    /// By its parent's, after so many lines that it has printed.
    After { lines: u64 },
}

/// What else goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Nothing,
    /// The file system of the ledger is full after a while.
    Full,
    /// The storage of the archive refuses, or answers an error after it has written.
    Errors,
    /// Its answers do not come; whether it has written is open.
    Silence,
    /// It is asked twice for every write, as by a transport that repeats.
    Twice,
    /// Writes that were given up happen later, at the latest after the end.
    Late,
    /// The clock steps by an hour, forth and back.
    Clock,
    /// Another process writes too: the same database, or a ledger of its own into the
    /// same archive.
    Writers,
    /// Answers of the store are lost, whether it has committed or not.
    Answers,
    /// Commits that were given up happen later.
    Stragglers,
    /// From one moment on the store says that the disk does not sync.
    Sync,
}

pub(crate) const FAULTS: [Fault; 11] = [
    Fault::Nothing,
    Fault::Full,
    Fault::Errors,
    Fault::Silence,
    Fault::Twice,
    Fault::Late,
    Fault::Clock,
    Fault::Writers,
    Fault::Answers,
    Fault::Stragglers,
    Fault::Sync,
];

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) backend: Backend,
    pub(crate) end: End,
    pub(crate) fault: Fault,
    /// Callers that append at the same time.
    pub(crate) callers: u64,
    /// Whether appends wait for the archive.
    pub(crate) remote_ack: bool,
}

/// Ends of a run on each backend: every point that it can come to, and one more.
fn cases() -> Vec<(Backend, Option<Point>)> {
    let mut cases = vec![(Backend::Sqlite, None), (Backend::Postgres, None)];
    for point in Point::ALL {
        if !point.name().starts_with("postgres.") {
            cases.push((Backend::Sqlite, Some(*point)));
        }
        cases.push((Backend::Postgres, Some(*point)));
    }
    cases
}

/// How often a point may be passed before it ends the run: what is passed with every
/// group more often than what is passed once.
fn passes(backend: Backend, point: Point) -> u64 {
    match point {
        // There it is only a restore that writes into such a file.
        Point::SqliteBegun
        | Point::SqliteHeadMoved
        | Point::SqliteWritten
        | Point::SqliteCommitted
            if backend == Backend::Postgres =>
        {
            6
        }
        Point::SequencerSealed
        | Point::SequencerCommitted
        | Point::SequencerAnswering
        | Point::SqliteBegun
        | Point::SqliteHeadMoved
        | Point::SqliteWritten
        | Point::SqliteCommitted
        | Point::PostgresAsking
        | Point::PostgresCommitted => 40,
        Point::LeaseHeld
        | Point::PostgresBegun
        | Point::PostgresAppended
        | Point::PostgresWritten
        | Point::SealSigned
        | Point::SealWritten
        | Point::TilesKept
        | Point::KeyKept
        | Point::ErasureBegun
        | Point::ErasureDestroyed
        | Point::ErasureRecorded
        | Point::ConversationDestroyed
        | Point::SnapshotPartPut
        | Point::IndexPut
        | Point::ArchiveCollected
        | Point::ArchiveSegmentPut
        | Point::ArchiveManifestPut
        | Point::RestorePart => 4,
        Point::SqliteCreated
        | Point::SqliteClosing
        | Point::RestoreBegun
        | Point::RestoreReplayed
        | Point::RestoreDone
        | Point::MergeSealed
        | Point::SweepDeleted
        | Point::DrillOver => 2,
        Point::SealKeyWritten
        | Point::VaultKeyWritten
        | Point::ArchiveRootPut
        | Point::ArchiveResumed => 1,
    }
}

impl Plan {
    /// Consecutive seeds go through every end with every fault, then again with other
    /// details.
    pub(crate) fn of(seed: u64) -> Self {
        let cases = cases();
        let count = cases.len() as u64;
        let (backend, point) = cases[usize::try_from(seed % count).expect("small")];
        let fault = (seed / count) % FAULTS.len() as u64;
        let fault = FAULTS[usize::try_from(fault).expect("small")];
        let mut dice = Dice::new(seed);
        let end = match point {
            Some(point) => End::At {
                point,
                hit: 1 + dice.below(passes(backend, point)),
            },
            None => End::After {
                lines: 1 + dice.below(300),
            },
        };
        Self {
            seed,
            backend,
            end,
            fault,
            callers: 1 + dice.below(16),
            remote_ack: dice.percent(25),
        }
    }

    /// Returns the dice of one writer of the run.
    pub(crate) fn dice(&self, writer: u64) -> Dice {
        Dice::new(self.seed ^ (writer + 1).wrapping_mul(0x5851_f42d_4c95_7f2d))
    }

    /// Whether the run is about what is deleted from the archive.
    pub(crate) fn is_swept(&self) -> bool {
        matches!(self.end, End::At { point, .. } if point == Point::SweepDeleted)
    }

    /// How many processes write.
    pub(crate) fn writers(&self) -> u64 {
        if self.fault == Fault::Writers { 2 } else { 1 }
    }
}

/// Returns a seed that ends at `point` with nothing else wrong.
pub(crate) fn undisturbed(point: Point) -> u64 {
    let ends_there = |case: &(Backend, Option<Point>)| case.1 == Some(point);
    let case = cases().iter().position(ends_there);
    case.expect("every point has a case") as u64
}

/// Seeds that come to every point once, on one store or the other, each with another
/// fault.
pub(crate) fn short() -> Vec<u64> {
    let cases = cases();
    let (count, faults) = (cases.len() as u64, FAULTS.len() as u64);
    let mut seeds = Vec::new();
    for (case, (backend, point)) in (0..).zip(&cases) {
        let other = if *backend == Backend::Sqlite {
            Backend::Postgres
        } else {
            Backend::Sqlite
        };
        let only = !cases.contains(&(other, *point));
        let mut points = Point::ALL.iter();
        let even = points
            .position(|at| Some(*at) == *point)
            .is_some_and(|at| at % 2 == 0);
        let turn = even == (*backend == Backend::Sqlite);
        if point.is_none() || only || turn {
            seeds.push(case + count * (seeds.len() as u64 % faults));
        }
    }
    seeds
}

#[test]
fn short_set_comes_to_every_point_and_every_fault() {
    let plans: Vec<Plan> = short().into_iter().map(Plan::of).collect();
    for point in Point::ALL {
        let comes = |plan: &&Plan| matches!(plan.end, End::At { point: at, .. } if at == *point);
        assert!(plans.iter().any(|plan| comes(&plan)), "{}", point.name());
    }
    for fault in FAULTS {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let both = |plan: &Plan| plan.fault == fault && plan.backend == backend;
            assert!(plans.iter().any(both), "{fault:?} on {backend:?}");
        }
    }
}
