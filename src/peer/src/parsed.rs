//! The statements that were parsed and planned last: an application repeats few texts, often with the same arguments.
//!
//! A statement is kept when its text comes for the second time. Texts that hold their data do not come again: they would
//! push the others out, and be taken apart later when they are no longer in the processor's cache.

use std::collections::BTreeMap;
use std::rc::Rc;

use dql::{Context, DqlError, Plan, Statement};
use value::{Object, Value, hash64};

use crate::system::{object, reads_system, text};

/// The statements that were parsed last: an application repeats few texts with other arguments.
#[derive(Debug)]
pub struct Parsed {
    statements: BTreeMap<String, Known>,
    /// Hashes of texts that came once, each at the place that it says.
    once: Vec<u64>,
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
        Parsed { statements: BTreeMap::new(), once: vec![0; ONCE], uses: 0, max: 4096 }
    }
}

/// How many texts are remembered to have come once.
const ONCE: usize = 1024;

/// Longer texts are not kept: they hold their data, and do not come again.
const PARSED_BYTES_MAX: usize = 1024;

impl Parsed {
    /// Returns the plan of a statement, the last one if nothing has changed that it depends on.
    pub fn plan(
        &mut self,
        text: &str,
        args: Object,
        context: &Context<'_>,
        generation: u64,
    ) -> Result<Planned, DqlError> {
        self.uses += 1;
        let known = self.statements.get_mut(text);
        let statement = match &known {
            Some(Known { plan: Some((of, at, plan)), .. }) if *at == generation && *of == args => {
                let plan = plan.clone();
                known.into_iter().for_each(|known| known.used = self.uses);
                return Ok(plan);
            }
            Some(known) => Rc::clone(&known.statement),
            None => Rc::new(dql::parse(text)?),
        };
        let is_kept = known.is_some() || self.max > 0 && comes_again(&mut self.once, text);
        let of = (is_kept && is_repeatable(&statement, &args)).then(|| args.clone());
        let planned = dql::plan_owned(&statement, args, context).map(Planned::new);
        // What is true now only is planned again.
        let of = of.filter(|_| context.asked_host.get().is_none());
        let plan = of.zip(planned.as_ref().ok()).map(|(of, planned)| (of, generation, planned.clone()));
        match known {
            Some(known) => (known.used, known.plan) = (self.uses, plan.or_else(|| known.plan.take())),
            None if is_kept => {
                self.make_room(self.max - 1);
                self.statements.insert(text.to_owned(), Known { statement, used: self.uses, plan });
            }
            None => {}
        }
        planned
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

/// Says whether a text has come before, of the last few that are not kept, and remembers it.
fn comes_again(once: &mut [u64], text: &str) -> bool {
    if text.len() > PARSED_BYTES_MAX {
        return false;
    }
    let hash = hash64(text.as_bytes());
    let place = &mut once[hash as usize % ONCE];
    std::mem::replace(place, hash) == hash
}

/// Says whether a plan may be kept for the next time: not one that holds data.
fn is_repeatable(statement: &Statement, args: &Object) -> bool {
    let is_small = |value: &Value| match value {
        Value::Str(text) => text.len() <= 256,
        Value::Array(_) | Value::Bytes(_) | Value::Object(_) => false,
        // The two zeros are equal, and are shown as they were given.
        Value::Float(float) => *float != 0.0,
        Value::Bool(_) | Value::Int(_) | Value::Null => true,
    };
    matches!(statement, Statement::Delete(_) | Statement::Select(_) | Statement::Update(_))
        && args.len() <= 16
        && args.values().all(is_small)
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
        let once = plan("SELECT a FROM c");
        let hot = plan("SELECT a FROM c");
        assert!(!Rc::ptr_eq(&once.plan, &hot.plan), "what comes once is not kept");
        for number in 0..20 {
            (0..2).for_each(|_| _ = plan(&format!("SELECT {number} AS n FROM c")));
            assert!(Rc::ptr_eq(&hot.plan, &plan("SELECT a FROM c").plan), "after {number} others");
        }
    }

    #[test]
    fn a_plan_that_holds_the_time_or_a_zone_is_made_again_and_others_are_kept() {
        let mut parsed = Parsed::default();
        let mut is_kept = |text: &str| {
            let mut plan = || parsed.plan(text, Object::new(), &Context::default(), 0).expect("valid").plan;
            plan();
            Rc::ptr_eq(&plan(), &plan())
        };
        assert!(is_kept("SELECT clocks FROM c WHERE date_trunc(d, 'day') = 1 -- clock()"));
        assert!(!is_kept("SELECT clock /* here */ () AS now FROM c"));
        assert!(!is_kept("SELECT a FROM c WHERE at < date_add(clock(), 1, 'day')"));
        assert!(!is_kept("SELECT a FROM c WHERE a IN (SELECT request_info() AS b FROM d)"));
        assert!(!is_kept("SELECT date_part(d, 'hour', 'local') AS hour FROM c"));
    }
}
