//! EXPLAIN: a plan as a row. Source: reference 2.8.

use std::ops::Bound;

use value::{Object, Value};

use crate::ast::SetOperator;
use crate::plan::{Access, Body, From, Join, Joined, KeyBounds, Plan, Query, Rows, Select, Side, Source};

/// Returns `{"plan": {"#operator": "sequence", "children": […]}}`.
pub fn explain(plan: &Plan) -> Value {
    let children = match plan {
        Plan::Advise(_) => vec![operator("advise", "")],
        Plan::AlterSystem(_) => vec![operator("alterSystem", "")],
        Plan::CreateIndex(index) => vec![operator("createIndex", index.collection.as_str())],
        Plan::Delete(delete) => mutation_steps(delete.source(), delete.filter().is_some(), delete.limit(), "delete"),
        Plan::DropIndex(index) => vec![operator("dropIndex", index.collection.as_str())],
        Plan::Evict(evict) => mutation_steps(evict.source(), evict.filter().is_some(), evict.limit(), "evict"),
        Plan::Explain(row) => return row.clone(),
        Plan::Insert(insert) => {
            let mut steps = insert.query.as_ref().map_or(Vec::new(), query_steps);
            steps.push(operator("insert", insert.collection.as_str()));
            steps
        }
        Plan::Profile(inner) => return explain(inner),
        Plan::Select(query) => query_steps(query),
        Plan::Show(_) => vec![operator("show", "")],
        Plan::Update(update) => mutation_steps(update.source(), update.filter().is_some(), None, "update"),
    };
    let mut row = Object::new();
    row.insert("plan".to_owned(), sequence(children));
    Value::Object(row)
}

fn sequence(children: Vec<Value>) -> Value {
    let mut sequence = fields("sequence", "");
    sequence.insert("children".to_owned(), Value::Array(children));
    Value::Object(sequence)
}

fn query_steps(query: &Query) -> Vec<Value> {
    let set = match &query.body {
        Body::Select(select) => return select_steps(select),
        Body::Set(set) => set,
    };
    let mut steps = query_steps(&set.first);
    for (set_operator, query) in &set.rest {
        let name = match set_operator {
            SetOperator::Except => "except",
            SetOperator::Intersect => "intersect",
            SetOperator::Union => "union",
            SetOperator::UnionAll => "unionAll",
        };
        steps = vec![with_children(name, vec![sequence(steps), sequence(query_steps(query))])];
    }
    if !set.order.is_empty() {
        steps.push(operator("sort", ""));
    }
    if set.limit.is_some() || set.offset > 0 {
        steps.push(operator("limit", ""));
    }
    steps
}

fn with_children(name: &str, children: Vec<Value>) -> Value {
    let mut fields = fields(name, "");
    fields.insert("children".to_owned(), Value::Array(children));
    Value::Object(fields)
}

fn select_steps(select: &Select) -> Vec<Value> {
    let mut steps = match &select.from {
        From::Collection(source) if select.counts_all() => vec![operator("countScan", source.collection.as_str())],
        From::Collection(source) => source_steps(source),
        From::Join(join) => vec![join_step(join)],
        From::Nothing => Vec::new(),
        From::Query(query) => vec![with_children("subquery", query_steps(query))],
    };
    let mut add = |name: &str, is: bool| {
        if is {
            steps.push(operator(name, ""));
        }
    };
    add("filter", select.filter.is_some());
    add("group", select.has_aggregates() && !select.counts_all());
    add("window", !select.windows.is_empty());
    add("projection", true);
    add("distinct", select.is_distinct());
    add("sort", select.has_order());
    add("limit", select.has_limit());
    add("finalProjection", true);
    steps
}

fn join_step(join: &Join) -> Value {
    let mut step = with_children("nlJoin", Vec::new());
    let mut children = vec![side_step(&join.first, None)];
    children.extend(join.others.iter().map(|joined| side_step(&joined.side, Some(joined))));
    if let Value::Object(fields) = &mut step {
        fields.insert("children".to_owned(), Value::Array(children));
    }
    step
}

fn side_step(side: &Side, joined: Option<&Joined>) -> Value {
    let mut steps = match &side.rows {
        Rows::Collection(source) => {
            let access = joined.map(Joined::usual_access).unwrap_or_else(|| source.access.clone());
            source_steps(&Source { access, ..source.clone() })
        }
        Rows::Query(query) => vec![with_children("subquery", query_steps(query))],
    };
    let mut all = fields("sequence", "");
    if joined.is_some() {
        steps.push(operator("filter", ""));
        let kind = if joined.is_some_and(|joined| joined.keeps) { "left" } else { "inner" };
        all.insert("join".to_owned(), Value::from(kind));
    }
    all.insert("alias".to_owned(), Value::from(side.alias.as_str()));
    all.insert("children".to_owned(), Value::Array(steps));
    Value::Object(all)
}

fn mutation_steps(source: &Source, filtered: bool, limit: Option<usize>, name: &str) -> Vec<Value> {
    let mut steps = source_steps(source);
    if filtered {
        steps.push(operator("filter", ""));
    }
    if limit.is_some() {
        steps.push(operator("limit", ""));
    }
    steps.push(operator(name, ""));
    steps
}

/// The way to the documents, and `fetch` where it leads to their ids only.
fn source_steps(source: &Source) -> Vec<Value> {
    let mut steps = vec![access(&source.access, source.collection.as_str())];
    let fetches = match &source.access {
        Access::All | Access::Ids(_) => false,
        Access::Index(scan) => !scan.covering,
        Access::Intersection(_) | Access::Union(_) => true,
    };
    if fetches {
        steps.push(operator("fetch", source.collection.as_str()));
    }
    steps
}

fn access(access_plan: &Access, collection: &str) -> Value {
    match access_plan {
        Access::All => operator("scan", collection),
        Access::Ids(ids) => {
            let mut fields = fields("idScan", collection);
            fields.insert("ids".to_owned(), Value::Array(ids.clone()));
            Value::Object(fields)
        }
        Access::Index(scan) => {
            let mut fields = fields("indexScan", collection);
            fields.insert("index".to_owned(), Value::from(scan.index.name.as_str()));
            fields.insert("covering".to_owned(), Value::Bool(scan.covering));
            fields.insert("reverse".to_owned(), Value::Bool(scan.reverse));
            fields.insert("ranges".to_owned(), Value::Array(scan.bounds.iter().map(range).collect()));
            Value::Object(fields)
        }
        Access::Intersection(scans) => {
            with_children("intersectScan", scans.iter().map(|scan| access(scan, collection)).collect())
        }
        Access::Union(scans) => with_children("unionScan", scans.iter().map(|scan| access(scan, collection)).collect()),
    }
}

/// One range of an index. A bound that is MISSING, or none at all, is left out.
fn range(bounds: &KeyBounds) -> Value {
    let mut range = Object::new();
    let known = |value: &Option<Value>| value.clone().unwrap_or(Value::Null);
    if !bounds.equal.is_empty() {
        range.insert("equal".to_owned(), Value::Array(bounds.equal.iter().map(known).collect()));
    }
    for (name, bound) in [("low", &bounds.low), ("high", &bounds.high)] {
        // The least binary value only marks where the numbers end; it is not in the statement.
        if let Bound::Included(Some(value)) | Bound::Excluded(Some(value)) = bound
            && *value != Value::Bytes(Vec::new())
        {
            range.insert(name.to_owned(), value.clone());
            range.insert([name, "Inclusive"].concat(), Value::Bool(matches!(bound, Bound::Included(_))));
        }
    }
    Value::Object(range)
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
