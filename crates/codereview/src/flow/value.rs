//! What is known of a value while a program is followed.

use std::sync::Arc;

use super::ir::Name;

/// Classes of weaknesses that a value cannot cause any more, one bit each.
pub(crate) type Clean = u64;

/// Clean for every class.
pub(crate) const ALL: Clean = u64::MAX;

/// Origins that are followed for one value.
const MOST_ORIGINS: usize = 6;

/// Parts of parts that a value carries along.
const MOST_PARTS: usize = 2_000;

/// A function: its unit and its place there.
pub(crate) type FunctionId = (u32, u32);

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// The argument for a parameter of the function that is looked at.
    Parameter(u16),
    /// Outside: an argument of a tool, a request, what a server answered.
    Outside,
}

/// A step on the way of a value, and those before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) unit: u32,
    pub(crate) line: u32,
    pub(crate) what: Name,
    pub(crate) before: Option<Arc<Way>>,
}

/// One origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taint {
    pub(crate) origin: Origin,
    /// Whether a step was guessed.
    pub(crate) is_guessed: bool,
    /// Whether it is one part of a longer text.
    pub(crate) is_joined: bool,
    /// Text that stands before it, where that is known; `None` where it comes first.
    pub(crate) lead: Option<Name>,
    pub(crate) clean: Clean,
    pub(crate) way: Option<Arc<Way>>,
}

impl Taint {
    /// Returns whether `other` is the same but for its way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (
            self.origin,
            self.is_guessed,
            self.is_joined,
            &self.lead,
            self.clean,
        ) == (
            other.origin,
            other.is_guessed,
            other.is_joined,
            &other.lead,
            other.clean,
        )
    }
}

/// What is known without regard to origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It could be anything.
    #[default]
    Unknown,
    /// Nobody outside chooses it.
    Clean,
    /// It stands in the program.
    Constant,
}

/// A value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) taints: Vec<Taint>,
    pub(crate) standing: Standing,
    /// Its text, if it is a constant one.
    pub(crate) text: Option<Name>,
    /// Which part of which library it is: `os.system`, `httpx.AsyncClient()`.
    pub(crate) path: Option<Name>,
    /// The function that it is.
    pub(crate) function: Option<FunctionId>,
    /// Its members, where it was written with them.
    pub(crate) fields: Option<Arc<Vec<(Name, Value)>>>,
    pub(crate) items: Option<Arc<Vec<Value>>>,
}

impl Value {
    pub(crate) fn clean() -> Self {
        Self {
            standing: Standing::Clean,
            ..Self::default()
        }
    }

    pub(crate) fn constant(text: &Name) -> Self {
        Self {
            standing: Standing::Constant,
            text: Some(Arc::clone(text)),
            ..Self::default()
        }
    }

    pub(crate) fn at(path: Name) -> Self {
        Self {
            path: Some(path),
            ..Self::default()
        }
    }

    pub(crate) fn tainted(taint: Taint) -> Self {
        Self {
            taints: vec![taint],
            ..Self::default()
        }
    }

    /// Returns whether `other` is the same but for the ways of its origins.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let all = |one: &[Taint], other: &[Taint]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_like(other))
        };
        let fields = are_like(&self.fields, &other.fields, |one, other| {
            one.0 == other.0 && one.1.is_like(&other.1)
        });
        let items = are_like(&self.items, &other.items, Self::is_like);
        fields
            && items
            && all(&self.taints, &other.taints)
            && (self.standing, &self.text, &self.path, self.function)
                == (other.standing, &other.text, &other.path, other.function)
    }

    /// Returns it with its members, unless they are too many to be carried along: values
    /// made of values double with every step.
    pub(crate) fn holding(
        mut self,
        fields: Option<Vec<(Name, Self)>>,
        items: Option<Vec<Self>>,
    ) -> Self {
        let mut left = MOST_PARTS;
        let all = fields.iter().flatten().map(|(_, value)| value);
        let fits = all
            .chain(items.iter().flatten())
            .all(|value| value.count(&mut left));
        if fits {
            self.fields = fields.map(Arc::new);
            self.items = items.map(Arc::new);
        }
        self
    }

    /// Takes its parts from what is `left`; returns whether it was enough.
    fn count(&self, left: &mut usize) -> bool {
        let Some(fewer) = left.checked_sub(1) else {
            return false;
        };
        *left = fewer;
        let mut fields = self.fields.iter().flat_map(|fields| fields.iter());
        let mut items = self.items.iter().flat_map(|items| items.iter());
        fields.all(|(_, value)| value.count(left)) && items.all(|value| value.count(left))
    }

    /// Returns the value with what `change` makes of each origin, also of its parts.
    pub(crate) fn changed(&self, change: &mut dyn FnMut(&Taint) -> Vec<Taint>) -> Self {
        let mut value = Self {
            taints: Vec::new(),
            fields: None,
            items: None,
            ..self.clone()
        };
        for taint in self.taints.iter().flat_map(&mut *change) {
            value.add(&taint);
        }
        let fields = self.fields.as_ref().map(|fields| {
            let fields = fields.iter();
            fields
                .map(|(name, field)| (Arc::clone(name), field.changed(change)))
                .collect()
        });
        let items = self.items.as_ref();
        let items = items.map(|items| items.iter().map(|item| item.changed(change)).collect());
        value.holding(fields, items)
    }

    /// Adds an origin, unless it is there.
    pub(crate) fn add(&mut self, taint: &Taint) {
        let same = |one: &&mut Taint| one.origin == taint.origin && one.clean == taint.clean;
        if let Some(one) = self.taints.iter_mut().find(same) {
            // The surer and the freer of the two.
            one.is_guessed &= taint.is_guessed;
            if taint.lead.is_none() {
                one.lead = None;
            }
            one.is_joined |= taint.is_joined;
        } else if self.taints.len() < MOST_ORIGINS {
            self.taints.push(taint.clone());
        }
    }

    /// Returns one value that may be any of `values`.
    pub(crate) fn either(values: Vec<Self>) -> Self {
        let mut values = values.into_iter();
        let Some(mut first) = values.next() else {
            return Self::clean();
        };
        for value in values {
            first.join(value);
        }
        first
    }

    /// Makes this one that may also be `other`.
    pub(crate) fn join(&mut self, other: Self) {
        for taint in &other.taints {
            self.add(taint);
        }
        self.standing = match (self.standing, other.standing) {
            (Standing::Unknown, _) | (_, Standing::Unknown) => Standing::Unknown,
            (Standing::Clean, _) | (_, Standing::Clean) => Standing::Clean,
            _ => Standing::Constant,
        };
        if self.text != other.text {
            self.text = None;
        }
        if self.path.is_none() {
            self.path = other.path;
        }
        if self.function.is_none() {
            self.function = other.function;
        }
        if self.fields != other.fields {
            self.fields = match (self.fields.take(), other.fields) {
                (Some(mine), Some(others)) if is_alike(&mine, &others) => {
                    let both = mine.iter().zip(others.iter());
                    let both = both.map(|((name, one), (_, other))| {
                        (
                            Arc::clone(name),
                            Self::either(vec![one.clone(), other.clone()]),
                        )
                    });
                    Some(Arc::new(both.collect()))
                }
                (mine, others) => mine.or(others),
            };
        }
        if self.items != other.items {
            self.items = match (self.items.take(), other.items) {
                (Some(mine), Some(others)) => {
                    let both = mine.iter().zip(others.iter());
                    let both = both.map(|(one, other)| match (&one.text, &other.text) {
                        // One of two options is still an option.
                        (Some(_), Some(_)) => one.clone(),
                        _ => Self::either(vec![one.clone(), other.clone()]),
                    });
                    // What was put into one of the two is in it.
                    let longer = match mine.len() > others.len() {
                        true => &mine,
                        false => &others,
                    };
                    let rest = longer.iter().skip(mine.len().min(others.len()));
                    Some(Arc::new(both.chain(rest.cloned()).collect()))
                }
                (mine, others) => mine.or(others),
            };
        }
    }

    /// Returns something computed of `values`, in which their origins live on.
    pub(crate) fn mix(values: &[Self]) -> Self {
        let mut all = Self {
            standing: Standing::Constant,
            ..Self::default()
        };
        for value in values {
            for taint in &value.taints {
                all.add(taint);
            }
            if value.standing == Standing::Unknown {
                all.standing = Standing::Unknown;
            } else if value.standing == Standing::Clean && all.standing == Standing::Constant {
                all.standing = Standing::Clean;
            }
        }
        all
    }

    /// Returns a text made of `parts`.
    pub(crate) fn text_of(parts: &[Self]) -> Self {
        /// Longest text that is put together.
        const LONGEST: usize = 2_000;
        let mut all = Self::mix(parts);
        all.taints.clear();
        let mut before = String::new();
        let mut is_known = true;
        for part in parts {
            for taint in &part.taints {
                let mut taint = taint.clone();
                taint.is_joined |= parts.len() > 1;
                let lead = taint.lead.as_deref().unwrap_or("");
                if !before.is_empty() || taint.lead.is_some() {
                    taint.lead = Some(Arc::from(format!("{before}{lead}")));
                }
                all.add(&taint);
            }
            match &part.text {
                Some(text) if before.len() + text.len() < LONGEST => before.push_str(text),
                _ => {
                    is_known = false;
                    // Something stands here, only not what; what stands before it is known.
                    let leads = part.taints.iter().filter_map(|taint| taint.lead.as_deref());
                    let longest = leads.max_by_key(|lead| lead.len()).unwrap_or("");
                    if before.len() + longest.len() < LONGEST {
                        before.push_str(longest);
                    }
                    before.push('\u{fffd}');
                }
            }
        }
        if is_known && all.taints.is_empty() {
            all.standing = Standing::Constant;
            all.text = Some(Arc::from(before));
        }
        all
    }

    /// Marks that it went through something unknown.
    pub(crate) fn guessed(mut self) -> Self {
        for taint in &mut self.taints {
            taint.is_guessed = true;
        }
        self
    }

    /// Returns it as clean for `classes`.
    pub(crate) fn cleaned(mut self, classes: Clean) -> Self {
        for taint in &mut self.taints {
            taint.clean |= classes;
        }
        self.taints.retain(|taint| taint.clean != ALL);
        if classes == ALL && self.standing == Standing::Unknown {
            self.standing = Standing::Clean;
        }
        self
    }

    /// Returns a member of it.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let fields = self.fields.as_deref()?;
        fields
            .iter()
            .rev()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value)
    }

    /// Returns its origins and those of everything in it.
    pub(crate) fn all_taints(&self) -> Vec<Taint> {
        let mut all = Self {
            taints: self.taints.clone(),
            ..Self::default()
        };
        let fields = self.fields.iter().flat_map(|fields| fields.iter());
        let items = self.items.iter().flat_map(|items| items.iter());
        for inner in fields.map(|(_, value)| value).chain(items) {
            for taint in inner.all_taints() {
                all.add(&taint);
            }
        }
        all.taints
    }
}

/// Returns whether members are there on both sides and `is_like` holds for each pair.
fn are_like<T>(
    one: &Option<Arc<Vec<T>>>,
    other: &Option<Arc<Vec<T>>>,
    is_like: impl Fn(&T, &T) -> bool,
) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let mut pairs = one.iter().zip(other.iter());
            Arc::ptr_eq(one, other)
                || one.len() == other.len() && pairs.all(|(one, other)| is_like(one, other))
        }
        _ => false,
    }
}

/// Returns whether two values have members of the same names.
fn is_alike(one: &[(Name, Value)], other: &[(Name, Value)]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((one, _), (other, _))| one == other)
}
