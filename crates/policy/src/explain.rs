//! Why a decision is what it is.

use crate::{Asked, Place, Refusal};

/// A decision with everything that was considered for it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The rules that could apply, by id.
    pub rules: Vec<Rule>,
    /// Why it is refused; none if it is permitted.
    pub refusal: Option<Refusal>,
    /// Whether lists show what it is about.
    pub shown: bool,
}

/// One rule and what it says to the facts.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Whether it permits; otherwise it forbids.
    pub permits: bool,
    /// What it says.
    pub stance: Stance,
    /// Who has to agree for it to permit, or for it not to forbid.
    pub asked: Option<Asked>,
    /// Whether what it forbids is hidden.
    pub hidden: bool,
    /// Where it is written.
    pub place: Option<Place>,
}

/// What a rule says to the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stance {
    /// Its scope and conditions match.
    Applies,
    /// They do not.
    DoesNotApply,
    /// It cannot be evaluated.
    Fails(String),
}
