//! The plan of a window function.

use crate::ast::WindowFunction;
use crate::evaluate::Code;

/// A window function with its names resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WindowCall {
    pub function: WindowFunction,
    /// What is aggregated; nothing for numbers of rows and `COUNT(*)`.
    pub argument: Option<Code>,
    pub partition: Vec<Code>,
    /// The keys, and whether each descends.
    pub order: Vec<(Code, bool)>,
}
