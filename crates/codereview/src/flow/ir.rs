//! What a program says, as far as the way of values needs it: one form for all languages.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::source::Language;

/// A name in a program.
pub(crate) type Name = Arc<str>;

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    /// Path below the root.
    pub(crate) path: String,
    pub(crate) language: Option<Language>,
    /// The first is the body of the file. Not there while nobody looks into a file that is
    /// known from an earlier review.
    pub(crate) functions: OnceLock<Vec<Function>>,
    /// Functions by name: `f`, `Class.f`.
    pub(crate) names: FxHashMap<Name, usize>,
    /// Local names of what is imported, and the dotted path that each stands for.
    pub(crate) imports: FxHashMap<Name, Name>,
}

/// One function, method, closure, or the body of a file.
#[derive(Debug, Default)]
pub(crate) struct Function {
    pub(crate) name: Name,
    pub(crate) class: Option<Name>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Vec<Statement>,
    pub(crate) line: u32,
    /// Whether code elsewhere may call it.
    pub(crate) is_public: bool,
    /// Whether it stands inside another one and is evaluated there.
    pub(crate) is_inner: bool,
    /// Whether it is a closure that stands in the body of a file as a part of a value, so
    /// that other files may call it.
    pub(crate) is_part: bool,
    /// Decorators, attributes and annotations, as dotted paths of local names.
    pub(crate) marks: Vec<Name>,
}

/// A parameter of a function.
#[derive(Debug, Default)]
pub(crate) struct Parameter {
    pub(crate) target: Target,
    /// What the language says of its type, without white space.
    pub(crate) kind: Option<Name>,
}

/// What a value is given to.
#[derive(Debug, Default)]
pub(crate) enum Target {
    /// Nothing that is followed.
    #[default]
    Nothing,
    Name(Name),
    /// Members taken out of a value, each under a name of its own.
    Fields(Vec<(Name, Target)>),
    Items(Vec<Target>),
    /// A member or element of something.
    Place(Expression),
}

/// A statement.
#[derive(Debug)]
pub(crate) enum Statement {
    Do(Expression),
    Let {
        target: Target,
        kind: Option<Name>,
        value: Expression,
    },
    Return(Expression),
    /// What follows is not reached: raise, throw.
    Leave,
    /// What follows in the loop or the case is not reached.
    Break,
    If {
        test: Expression,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    /// A body that runs any number of times.
    Repeat(Vec<Statement>),
    /// Bodies of which one runs.
    OneOf(Vec<Vec<Statement>>),
    /// Bodies one after the other.
    Block(Vec<Statement>),
    /// A body that may break off anywhere, what then runs, and what runs in any case.
    Attempt {
        body: Vec<Statement>,
        handlers: Vec<Vec<Statement>>,
        last: Vec<Statement>,
    },
}

/// An expression.
#[derive(Debug, Default)]
pub(crate) enum Expression {
    /// Nothing that carries a value from elsewhere.
    #[default]
    Nothing,
    /// A text or number as written, without quotes.
    Text(Name),
    /// A text that stands in code for something else: a pattern, a byte text.
    Name(Name),
    Member(Box<Expression>, Name),
    Index(Box<Expression>, Box<Expression>),
    Call(Box<Call>),
    /// A text made of parts.
    Join(Vec<Expression>),
    Items(Vec<Expression>),
    Fields(Vec<(Name, Expression)>),
    /// One of these.
    Either(Vec<Expression>),
    /// Something computed of these.
    Mix(Vec<Expression>),
    /// A truth or a number: looked at for what it calls, clean itself.
    Test(Box<Test>),
    /// A closure, by its place in the unit.
    Function(usize),
    /// An assignment inside an expression.
    Bind(Box<(Target, Expression)>),
    /// Statements of which the last one has the value.
    Block(Vec<Statement>),
}

/// A comparison.
#[derive(Debug)]
pub(crate) struct Test {
    /// How: `==`, `in`, `not`, `and`, …
    pub(crate) how: Name,
    pub(crate) of: Vec<Expression>,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) callee: Expression,
    pub(crate) arguments: Vec<Argument>,
    /// Lines from 1.
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Where its text is.
    pub(crate) bytes: (usize, usize),
}

/// An argument of a call.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: Option<Name>,
    pub(crate) value: Expression,
}
