//! Programs and what is known of them as bytes, for the memory of earlier reviews.
//!
//! # Invariants
//!
//! * Files are named by a hash of their path, functions by their name where it is that of no
//!   other: bytes of an unchanged file stay the same when others come and go.
//! * Reading is bounded by the bytes that there are, and gives nothing for bytes that were
//!   not written here. What is read again says the same as what was written.
//! * Maps are written in the order of their keys.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    ensure::Guard,
    evaluate::{Hit, Summary},
    ir::{Argument, Call, Expression, Function, Name, Parameter, Statement, Target, Test, Unit},
    value::{FunctionId, Origin, Standing, Taint, Value, Way},
};
use crate::{memory::Digest, rules::Shape};

/// Deepest nesting that is read.
const MOST_DEPTH: u32 = 3_000;

/// The names of files and functions that bytes refer to.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) program: &'a [Unit],
    /// Names by which functions are known, by unit and place.
    pub(super) keys: Vec<FxHashMap<u32, Name>>,
    /// Hashes of paths, by unit.
    pub(super) units: Vec<u64>,
    pub(super) unit_of: FxHashMap<u64, u32>,
    /// Hashes of what identifies a module, by module.
    pub(super) modules: Vec<u64>,
    pub(super) module_of: FxHashMap<u64, u32>,
}

/// Bytes that are written.
pub(super) struct Out<'n> {
    pub(super) bytes: Vec<u8>,
    names: &'n Names<'n>,
}

/// Bytes that are read.
pub(super) struct In<'b> {
    bytes: &'b [u8],
    names: &'b Names<'b>,
    depth: u32,
}

impl<'n> Out<'n> {
    pub(super) fn new(names: &'n Names<'n>) -> Self {
        Self {
            bytes: Vec::new(),
            names,
        }
    }

    /// Returns the bytes of `one` alone.
    pub(super) fn of(&self, one: &impl Coded) -> Vec<u8> {
        let mut out = Self::new(self.names);
        one.put(&mut out);
        out.bytes
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub(super) fn hash(&mut self, hash: u64) {
        self.bytes.extend(hash.to_le_bytes());
    }

    pub(super) fn unit(&mut self, unit: u32) {
        self.hash(self.names.units[unit as usize]);
    }

    pub(super) fn module(&mut self, module: u32) {
        self.hash(self.names.modules[module as usize]);
    }
}

impl<'b> In<'b> {
    pub(super) fn new(bytes: &'b [u8], names: &'b Names<'b>) -> Self {
        Self {
            bytes,
            names,
            depth: 0,
        }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(super) fn hash(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.split_first_chunk::<8>()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*first))
    }

    /// Reads bytes behind their number.
    pub(super) fn raw(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (raw, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(raw)
    }

    pub(super) fn unit(&mut self) -> Option<u32> {
        let hash = self.hash()?;
        self.names.unit_of.get(&hash).copied()
    }

    pub(super) fn module(&mut self) -> Option<u32> {
        let hash = self.hash()?;
        self.names.module_of.get(&hash).copied()
    }

    pub(super) fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let read = read(self);
        self.depth -= 1;
        read
    }
}

pub(super) fn put_digest(out: &mut Out<'_>, digest: Digest) {
    out.bytes.extend(digest.to_le_bytes());
}

pub(super) fn take_digest(from: &mut In<'_>) -> Option<Digest> {
    let (low, high) = (from.hash()?, from.hash()?);
    Some(Digest::from(high) << 64 | Digest::from(low))
}

/// What can be written and read again.
pub(super) trait Coded: Sized {
    fn put(&self, out: &mut Out<'_>);
    fn take(from: &mut In<'_>) -> Option<Self>;
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Coded for $kind {
            fn put(&self, out: &mut Out<'_>) {
                out.number(*self as u64);
            }

            fn take(from: &mut In<'_>) -> Option<Self> {
                from.number()?.try_into().ok()
            }
        }
    )*};
}
numbers!(u16, u32, usize);

/// A hash or a set of bits, which is seldom small.
impl Coded for u64 {
    fn put(&self, out: &mut Out<'_>) {
        out.hash(*self);
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        from.hash()
    }
}

impl Coded for bool {
    fn put(&self, out: &mut Out<'_>) {
        out.byte(u8::from(*self));
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Coded for Name {
    fn put(&self, out: &mut Out<'_>) {
        // A module of the tree is named by its number, which is another one tomorrow.
        let number = self.strip_prefix('@').map(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.split_at(digits)
        });
        let module = number.filter(|(_, rest)| rest.is_empty() || rest.starts_with('.'));
        let module = module.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
        match module.and_then(|(number, rest)| Some((out.names.modules.get(number)?, rest))) {
            Some((module, rest)) => {
                let module = *module;
                out.number(1 + rest.len() as u64 * 2);
                out.hash(module);
                out.bytes.extend(rest.as_bytes());
            }
            None => {
                out.number(self.len() as u64 * 2);
                out.bytes.extend(self.as_bytes());
            }
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        let head = from.number()?;
        let module = match head & 1 {
            1 => Some(from.hash()?),
            _ => None,
        };
        let (text, rest) = from
            .bytes
            .split_at_checked(usize::try_from(head / 2).ok()?)?;
        from.bytes = rest;
        let text = std::str::from_utf8(text).ok()?;
        Some(match module {
            Some(hash) => Arc::from(format!("@{}{text}", from.names.module_of.get(&hash)?)),
            None => Arc::from(text),
        })
    }
}

/// By its name: places of functions move when others are added before them.
impl Coded for FunctionId {
    fn put(&self, out: &mut Out<'_>) {
        out.unit(self.0);
        match out.names.keys[self.0 as usize].get(&self.1) {
            Some(name) => {
                out.byte(1);
                name.put(out);
            }
            None => {
                out.byte(0);
                self.1.put(out);
            }
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        let unit = from.unit()?;
        let at = match bool::take(from)? {
            true => {
                let name = Name::take(from)?;
                let names = &from.names.program[unit as usize].names;
                u32::try_from(*names.get(&name)?).ok()?
            }
            false => u32::take(from)?,
        };
        Some((unit, at))
    }
}

impl<T: Coded> Coded for Option<T> {
    fn put(&self, out: &mut Out<'_>) {
        out.byte(u8::from(self.is_some()));
        if let Some(inner) = self {
            inner.put(out);
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        match bool::take(from)? {
            true => Some(Some(T::take(from)?)),
            false => Some(None),
        }
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn put(&self, out: &mut Out<'_>) {
        out.number(self.len() as u64);
        self.iter().for_each(|one| one.put(out));
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        let len = usize::try_from(from.number()?).ok()?;
        // Each takes a byte at least; what is promised is not reserved.
        let mut all = Self::with_capacity(len.min(from.bytes.len()).min(4096));
        for _ in 0..len {
            all.push(T::take(from)?);
        }
        Some(all)
    }
}

impl<T: Coded> Coded for Box<T> {
    fn put(&self, out: &mut Out<'_>) {
        (**self).put(out);
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        T::take(from).map(Self::new)
    }
}

/// Not for names, which are shared as well.
impl<T: Coded> Coded for Arc<Vec<T>> {
    fn put(&self, out: &mut Out<'_>) {
        (**self).put(out);
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        Vec::take(from).map(Self::new)
    }
}

impl<A: Coded, B: Coded> Coded for (A, B)
where
    (A, B): Pair,
{
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

/// Pairs that are no function.
pub(super) trait Pair {}
impl Pair for (Name, Target) {}
impl Pair for (Name, Expression) {}
impl Pair for (Name, Value) {}
impl Pair for (Name, Name) {}
impl Pair for (Name, usize) {}
impl Pair for (Target, Expression) {}
impl Pair for (usize, usize) {}
impl Pair for ((Name, Name), Value) {}
impl Pair for (FunctionId, Vec<Name>) {}
impl Pair for (FunctionId, Summary) {}

macro_rules! members {
    ($kind:ident { $($member:ident),* }) => {
        impl Coded for $kind {
            fn put(&self, out: &mut Out<'_>) {
                $(self.$member.put(out);)*
            }

            fn take(from: &mut In<'_>) -> Option<Self> {
                Some(Self { $($member: Coded::take(from)?),* })
            }
        }
    };
}
members!(Function {
    name,
    class,
    parameters,
    body,
    line,
    is_public,
    is_inner,
    is_part,
    marks
});
members!(Parameter { target, kind });
members!(Test { how, of });
members!(Call {
    callee,
    arguments,
    from,
    to,
    bytes
});
members!(Argument { name, value });
members!(Summary {
    hits,
    gives,
    guards,
    is_weak
});
members!(Guard {
    parameter,
    always,
    if_true,
    if_false
});
members!(Taint {
    origin,
    is_guessed,
    is_joined,
    lead,
    clean,
    way
});
members!(Value {
    taints,
    standing,
    text,
    path,
    function,
    fields,
    items
});

impl Coded for Hit {
    fn put(&self, out: &mut Out<'_>) {
        self.rule.put(out);
        out.unit(self.unit);
        self.lines.0.put(out);
        self.lines.1.put(out);
        self.bytes.put(out);
        out.byte(self.shape as u8);
        self.taint.put(out);
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        Some(Self {
            rule: usize::take(from)?,
            unit: from.unit()?,
            lines: (u32::take(from)?, u32::take(from)?),
            bytes: Coded::take(from)?,
            shape: Shape::of(from.byte()?)?,
            taint: Taint::take(from)?,
        })
    }
}

impl Coded for Origin {
    fn put(&self, out: &mut Out<'_>) {
        match self {
            Self::Outside => out.number(0),
            Self::Parameter(at) => out.number(1 + u64::from(*at)),
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        Some(match from.number()? {
            0 => Self::Outside,
            at => Self::Parameter(u16::try_from(at - 1).ok()?),
        })
    }
}

impl Coded for Standing {
    fn put(&self, out: &mut Out<'_>) {
        out.byte(match self {
            Self::Unknown => 0,
            Self::Clean => 1,
            Self::Constant => 2,
        });
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Unknown,
            1 => Self::Clean,
            2 => Self::Constant,
            _ => return None,
        })
    }
}

/// The way as a list, the last step first.
impl Coded for Arc<Way> {
    fn put(&self, out: &mut Out<'_>) {
        let mut at = Some(self);
        while let Some(one) = at {
            out.byte(1);
            out.unit(one.unit);
            one.line.put(out);
            one.what.put(out);
            at = one.before.as_ref();
        }
        out.byte(0);
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        let mut steps = Vec::new();
        while bool::take(from)? {
            steps.push((from.unit()?, u32::take(from)?, Name::take(from)?));
        }
        let mut way = None;
        for (unit, line, what) in steps.into_iter().rev() {
            way = Some(Self::new(Way {
                unit,
                line,
                what,
                before: way,
            }));
        }
        way
    }
}

impl Coded for Target {
    fn put(&self, out: &mut Out<'_>) {
        match self {
            Self::Nothing => out.byte(0),
            Self::Name(name) => tagged(out, 1, name),
            Self::Fields(fields) => tagged(out, 2, fields),
            Self::Items(items) => tagged(out, 3, items),
            Self::Place(place) => tagged(out, 4, place),
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        from.deeper(|from| {
            Some(match from.byte()? {
                0 => Self::Nothing,
                1 => Self::Name(Coded::take(from)?),
                2 => Self::Fields(Coded::take(from)?),
                3 => Self::Items(Coded::take(from)?),
                4 => Self::Place(Coded::take(from)?),
                _ => return None,
            })
        })
    }
}

fn tagged(out: &mut Out<'_>, tag: u8, inner: &impl Coded) {
    out.byte(tag);
    inner.put(out);
}

impl Coded for Statement {
    fn put(&self, out: &mut Out<'_>) {
        match self {
            Self::Do(value) => tagged(out, 0, value),
            Self::Let {
                target,
                kind,
                value,
            } => {
                tagged(out, 1, target);
                kind.put(out);
                value.put(out);
            }
            Self::Return(value) => tagged(out, 2, value),
            Self::Leave => out.byte(3),
            Self::Break => out.byte(4),
            Self::If {
                test,
                then,
                otherwise,
            } => {
                tagged(out, 5, test);
                then.put(out);
                otherwise.put(out);
            }
            Self::Repeat(body) => tagged(out, 6, body),
            Self::OneOf(bodies) => tagged(out, 7, bodies),
            Self::Block(body) => tagged(out, 8, body),
            Self::Attempt {
                body,
                handlers,
                last,
            } => {
                tagged(out, 9, body);
                handlers.put(out);
                last.put(out);
            }
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        from.deeper(|from| {
            Some(match from.byte()? {
                0 => Self::Do(Coded::take(from)?),
                1 => Self::Let {
                    target: Coded::take(from)?,
                    kind: Coded::take(from)?,
                    value: Coded::take(from)?,
                },
                2 => Self::Return(Coded::take(from)?),
                3 => Self::Leave,
                4 => Self::Break,
                5 => Self::If {
                    test: Coded::take(from)?,
                    then: Coded::take(from)?,
                    otherwise: Coded::take(from)?,
                },
                6 => Self::Repeat(Coded::take(from)?),
                7 => Self::OneOf(Coded::take(from)?),
                8 => Self::Block(Coded::take(from)?),
                9 => Self::Attempt {
                    body: Coded::take(from)?,
                    handlers: Coded::take(from)?,
                    last: Coded::take(from)?,
                },
                _ => return None,
            })
        })
    }
}

impl Coded for Expression {
    fn put(&self, out: &mut Out<'_>) {
        match self {
            Self::Nothing => out.byte(0),
            Self::Text(text) => tagged(out, 1, text),
            Self::Name(name) => tagged(out, 2, name),
            Self::Member(object, name) => {
                tagged(out, 3, object);
                name.put(out);
            }
            Self::Index(object, index) => {
                tagged(out, 4, object);
                index.put(out);
            }
            Self::Call(call) => tagged(out, 5, call),
            Self::Join(parts) => tagged(out, 6, parts),
            Self::Items(items) => tagged(out, 7, items),
            Self::Fields(fields) => tagged(out, 8, fields),
            Self::Either(parts) => tagged(out, 9, parts),
            Self::Mix(parts) => tagged(out, 10, parts),
            Self::Test(test) => tagged(out, 11, test),
            Self::Function(at) => tagged(out, 12, at),
            Self::Bind(bind) => tagged(out, 13, bind),
            Self::Block(body) => tagged(out, 14, body),
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        from.deeper(|from| {
            Some(match from.byte()? {
                0 => Self::Nothing,
                1 => Self::Text(Coded::take(from)?),
                2 => Self::Name(Coded::take(from)?),
                3 => Self::Member(Coded::take(from)?, Coded::take(from)?),
                4 => Self::Index(Coded::take(from)?, Coded::take(from)?),
                5 => Self::Call(Coded::take(from)?),
                6 => Self::Join(Coded::take(from)?),
                7 => Self::Items(Coded::take(from)?),
                8 => Self::Fields(Coded::take(from)?),
                9 => Self::Either(Coded::take(from)?),
                10 => Self::Mix(Coded::take(from)?),
                11 => Self::Test(Coded::take(from)?),
                12 => Self::Function(Coded::take(from)?),
                13 => Self::Bind(Coded::take(from)?),
                14 => Self::Block(Coded::take(from)?),
                _ => return None,
            })
        })
    }
}
