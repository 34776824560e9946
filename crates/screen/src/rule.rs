//! What is looked for, and what is told of what was found.

use std::ops::Range;

use crate::{card, hidden, personal, phrase, secret};

/// Sum of the weights of hits in one text from which instructions and payloads count.
pub const THRESHOLD: u8 = 3;

/// A family of rules, which are switched on and acted upon together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Payment card numbers.
    Card,
    /// Credentials.
    Secret,
    /// Personal data.
    Personal,
    /// Characters that people do not see.
    Hidden,
    /// Text that tells a model what to do.
    Instruction,
    /// Text that does harm where it is interpreted: commands, templates, addresses.
    Payload,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Card,
        Self::Secret,
        Self::Personal,
        Self::Hidden,
        Self::Instruction,
        Self::Payload,
    ];

    /// Returns the name used in configurations and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Secret => "secret",
            Self::Personal => "personal",
            Self::Hidden => "hidden",
            Self::Instruction => "instruction",
            Self::Payload => "payload",
        }
    }
}

/// A set of groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Groups(u8);

impl Groups {
    /// No group.
    pub const NONE: Self = Self(0);
    /// Every group.
    pub const ALL: Self = Self(0x3f);
    /// What is looked for in what a server says of its tools.
    pub const DEFINITION: Self = Self::NONE
        .with(Group::Secret)
        .with(Group::Hidden)
        .with(Group::Instruction)
        .with(Group::Payload);

    /// Returns the set with `group`.
    #[must_use]
    pub const fn with(self, group: Group) -> Self {
        Self(self.0 | 1 << group as u8)
    }

    /// Returns the set without `group`.
    #[must_use]
    pub const fn without(self, group: Group) -> Self {
        Self(self.0 & !(1 << group as u8))
    }

    /// Returns whether `group` is in the set.
    #[must_use]
    pub const fn has(self, group: Group) -> bool {
        self.0 & 1 << group as u8 != 0
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One rule. Its id is stable: records and configurations name it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, such as `card.number`.
    pub id: &'static str,
    /// Its family.
    pub group: Group,
    /// What it finds, for people.
    pub about: &'static str,
}

impl Rule {
    pub(crate) const fn new(id: &'static str, group: Group, about: &'static str) -> Self {
        Self { id, group, about }
    }
}

/// All rules, by family.
pub const RULES: [&[&Rule]; 5] = [
    &card::RULES,
    &secret::RULES,
    &personal::RULES,
    &hidden::RULES,
    &phrase::RULES,
];

/// A rule that applies, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: &'static Rule,
    /// How much it counts towards [`THRESHOLD`].
    pub weight: u8,
    /// The place in the text, in bytes, at boundaries of characters.
    pub span: Range<usize>,
}
