//! EXPLAIN: a plan as a row. Source: reference 2.8; the operators are those that this room knows, so `scan` where the peer
//! may use an index.

use value::{Object, Value};

use crate::plan::{Access, Plan, Select, Source};

/// Returns `{"plan": {"#operator": "sequence", "children": […]}}`.
pub(crate) fn explain(plan: &Plan) -> Value {
    let children = match plan {
        Plan::Select(select) => select_steps(select),
        Plan::Insert(insert) => vec![operator("insert", insert.collection.as_str())],
        Plan::Update(update) => mutation_steps(update.source(), update.filter().is_some(), None, "update"),
        Plan::Delete(delete) => mutation_steps(delete.source(), delete.filter().is_some(), delete.limit(), "delete"),
        Plan::Evict(evict) => mutation_steps(evict.source(), evict.filter().is_some(), evict.limit(), "evict"),
        Plan::Explain(row) => return row.clone(),
    };
    let mut sequence = fields("sequence", "");
    sequence.insert("children".to_owned(), Value::Array(children));
    let mut row = Object::new();
    row.insert("plan".to_owned(), Value::Object(sequence));
    Value::Object(row)
}

fn select_steps(select: &Select) -> Vec<Value> {
    let mut steps: Vec<Value> = select.source().map(access).into_iter().collect();
    let mut add = |name: &str, is: bool| {
        if is {
            steps.push(operator(name, ""));
        }
    };
    add("filter", select.filter.is_some());
    add("group", select.has_aggregates());
    add("projection", true);
    add("distinct", select.is_distinct());
    add("sort", select.has_order());
    add("limit", select.has_limit());
    steps
}

fn mutation_steps(source: &Source, filtered: bool, limit: Option<usize>, name: &str) -> Vec<Value> {
    let mut steps = vec![access(source)];
    if filtered {
        steps.push(operator("filter", ""));
    }
    if limit.is_some() {
        steps.push(operator("limit", ""));
    }
    steps.push(operator(name, ""));
    steps
}

fn access(source: &Source) -> Value {
    let collection = source.collection.as_str();
    match &source.access {
        Access::All => operator("scan", collection),
        Access::Ids(ids) => {
            let mut fields = fields("idScan", collection);
            fields.insert("ids".to_owned(), Value::Array(ids.clone()));
            Value::Object(fields)
        }
        Access::Index(scan) => {
            let mut fields = fields("indexScan", collection);
            fields.insert("index".to_owned(), Value::from(scan.index.name.as_str()));
            Value::Object(fields)
        }
        Access::Intersection(_) => operator("intersectScan", collection),
        Access::Union(_) => operator("unionScan", collection),
    }
}

fn operator(name: &str, collection: &str) -> Value {
    Value::Object(fields(name, collection))
}

fn fields(operator: &str, collection: &str) -> Object {
    let mut fields = Object::new();
    fields.insert("#operator".to_owned(), Value::from(operator));
    if !collection.is_empty() {
        fields.insert("collection".to_owned(), Value::from(collection));
    }
    fields
}
