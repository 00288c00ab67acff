//! Quantifiers and comprehensions: what is done with every item of an array or every field of an object.
//!
//! `ANY x IN a SATISFIES p END`, `EVERY …`, `ANY AND EVERY …`, `ARRAY e FOR k:x IN a WHEN p END` and
//! `OBJECT n : e FOR k:x IN a WHEN p END` have one shape, as written (`Iteration<Expr>`) and as bound. How it is read,
//! bound, evaluated and printed is in the modules of these stages. Source: reference 2.2.
//!
//! Invariant: a bound iteration has two variables, its place and its value, whether or not the place has a name.

/// A quantifier or a comprehension over expressions of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Iteration<E> {
    /// What is made.
    pub kind: IterationKind,
    /// The variable for the number of an item or the name of a field.
    pub position: Option<String>,
    /// The variable for the value.
    pub variable: String,
    /// How far down values are taken from.
    pub reach: Reach,
    /// What is gone through.
    pub collection: E,
    /// SATISFIES, which a quantifier has, or WHEN.
    pub condition: Option<E>,
    /// Nothing for a quantifier; the item of an array; the name and the value of a field.
    pub outputs: Vec<E>,
}

/// What an iteration makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IterationKind {
    /// Whether the condition is true for one value.
    Any,
    /// Whether there is a value, and the condition is true for all.
    AnyAndEvery,
    /// An array.
    Array,
    /// Whether the condition is true for all values.
    Every,
    /// An object.
    Object,
}

impl IterationKind {
    /// Returns the word that it starts with.
    pub fn word(self) -> &'static str {
        match self {
            IterationKind::Any => "ANY",
            IterationKind::AnyAndEvery => "ANY AND EVERY",
            IterationKind::Array => "ARRAY",
            IterationKind::Every => "EVERY",
            IterationKind::Object => "OBJECT",
        }
    }
}

/// Where the values of an iteration are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// IN: the items or fields of the collection.
    Direct,
    /// WITHIN: those, and what is in them, at any depth.
    Nested,
}

impl<E> Iteration<E> {
    /// Returns the expressions in it, the collection first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &E> {
        std::iter::once(&self.collection).chain(&self.condition).chain(&self.outputs)
    }

    /// Returns the expressions in it, the collection first.
    pub(crate) fn parts_mut(&mut self) -> impl Iterator<Item = &mut E> {
        std::iter::once(&mut self.collection).chain(&mut self.condition).chain(&mut self.outputs)
    }
}
