//! The statements that were parsed and planned last: an application repeats few texts, often with the same arguments.

use std::collections::BTreeMap;
use std::rc::Rc;

use dql::{Context, DqlError, Plan, Statement};
use value::{Object, Value};

use crate::system::{object, reads_system, text};

/// The statements that were parsed last: an application repeats few texts with other arguments.
#[derive(Debug)]
pub struct Parsed {
    statements: BTreeMap<String, Known>,
    /// Counts uses, so that the oldest is known.
    uses: u64,
    max: usize,
}

/// A plan, and whether it names a collection that the peer makes.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Rc<Plan>,
    /// Whether it reads a system collection.
    pub reads_system: bool,
}

impl Planned {
    fn new(plan: Plan) -> Planned {
        Planned { reads_system: reads_system(&plan), plan: Rc::new(plan) }
    }
}

/// A statement that was parsed.
#[derive(Debug)]
struct Known {
    statement: Rc<Statement>,
    /// When it was used last.
    used: u64,
    /// Its last plan: for which arguments, and of which generation of indexes.
    plan: Option<(Object, u64, Planned)>,
}

impl Default for Parsed {
    fn default() -> Parsed {
        Parsed { statements: BTreeMap::new(), uses: 0, max: 4096 }
    }
}

/// Longer texts are not kept: they hold their data, and do not come again.
const PARSED_BYTES_MAX: usize = 1024;

impl Parsed {
    fn statement(&mut self, text: &str) -> Result<Rc<Statement>, DqlError> {
        self.uses += 1;
        if let Some(known) = self.statements.get_mut(text) {
            known.used = self.uses;
            return Ok(Rc::clone(&known.statement));
        }
        let statement = Rc::new(dql::parse(text)?);
        if text.len() <= PARSED_BYTES_MAX && self.max > 0 {
            self.make_room(self.max - 1);
            let known = Known { statement: Rc::clone(&statement), used: self.uses, plan: None };
            self.statements.insert(text.to_owned(), known);
        }
        Ok(statement)
    }

    /// Returns the plan of a statement, the last one if nothing has changed that it depends on.
    pub fn plan(
        &mut self,
        text: &str,
        args: Object,
        context: &Context<'_>,
        generation: u64,
    ) -> Result<Planned, DqlError> {
        if let Some(Known { plan: Some((known, of, plan)), used, .. }) = self.statements.get_mut(text)
            && *of == generation
            && *known == args
        {
            self.uses += 1;
            *used = self.uses;
            return Ok(plan.clone());
        }
        let statement = self.statement(text)?;
        if !is_repeatable(text, &statement, &args) {
            return dql::plan_owned(&statement, args, context).map(Planned::new);
        }
        let plan = Planned::new(dql::plan(&statement, &args, context)?);
        if let Some(known) = self.statements.get_mut(text) {
            known.plan = Some((args, generation, plan.clone()));
        }
        Ok(plan)
    }

    /// Forgets plans, which depend on parameters.
    pub fn forget_plans(&mut self) {
        self.statements.values_mut().for_each(|known| known.plan = None);
    }

    /// Keeps at most so many.
    pub fn limit(&mut self, max: usize) {
        self.max = max;
        self.make_room(max);
    }

    /// Drops the half that was used longest ago once there are more than so many.
    fn make_room(&mut self, max: usize) {
        if self.statements.len() <= max {
            return;
        }
        let mut uses: Vec<u64> = self.statements.values().map(|known| known.used).collect();
        uses.sort_unstable();
        let oldest = uses[uses.len() - max / 2 - 1];
        self.statements.retain(|_, known| known.used > oldest);
    }

    /// Returns the statements for `system:shared_statements`.
    pub fn rows(&self) -> Vec<Object> {
        self.statements.keys().map(|statement| object([("statement", text(statement))])).collect()
    }
}

/// Says whether a plan may serve the next time: not one that holds data, nor one that holds the time.
fn is_repeatable(text: &str, statement: &Statement, args: &Object) -> bool {
    const OF_NOW: [&str; 3] = ["clock", "request_info", "tz_offset"];
    let holds_time =
        |name: &&str| text.as_bytes().windows(name.len()).any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let is_small = |value: &Value| match value {
        Value::Str(text) => text.len() <= 256,
        Value::Array(_) | Value::Bytes(_) | Value::Object(_) => false,
        // The two zeros are equal, and are shown as they were given.
        Value::Float(float) => *float != 0.0,
        Value::Bool(_) | Value::Int(_) | Value::Null => true,
    };
    text.len() <= PARSED_BYTES_MAX
        && matches!(statement, Statement::Delete(_) | Statement::Select(_) | Statement::Update(_))
        && args.len() <= 16
        && args.values().all(is_small)
        && !OF_NOW.iter().any(holds_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_is_used_again_and_again_is_not_the_oldest() {
        let mut parsed = Parsed::default();
        parsed.limit(4);
        let context = Context::default();
        let mut plan = |text: &str| parsed.plan(text, Object::new(), &context, 0).expect("valid");
        let hot = plan("SELECT a FROM c");
        for number in 0..20 {
            plan(&format!("SELECT {number} AS n FROM c"));
            assert!(Rc::ptr_eq(&hot.plan, &plan("SELECT a FROM c").plan), "after {number} others");
        }
    }
}
