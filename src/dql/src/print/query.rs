//! Queries to text.

use super::{Printer, is_plain};
use crate::ast::{Body, Expr, Ids, Order, Projection, Query, Select, Source, Window, WindowFunction, level};

impl Printer {
    pub(super) fn query(&mut self, query: &Query) {
        for (index, named) in query.with.iter().enumerate() {
            self.put(if index == 0 { "WITH " } else { ", " });
            self.name(&named.name);
            self.put(" AS (");
            self.query(&named.query);
            self.put(if index + 1 == query.with.len() { ") " } else { ")" });
        }
        self.body(&query.first);
        for (operator, body) in &query.rest {
            self.put(" ");
            self.put(operator.text());
            self.put(" ");
            self.body(body);
        }
        self.ends(&query.order, query.limit.as_ref(), query.offset.as_ref());
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Query(query) => {
                self.put("(");
                self.query(query);
                self.put(")");
            }
            Body::Select(select) => self.select(select),
        }
    }

    fn select(&mut self, select: &Select) {
        self.put(if select.distinct.is_some() { "SELECT DISTINCT " } else { "SELECT " });
        self.list(&select.projection, Self::projection);
        if let Some(source) = &select.from {
            self.put(" FROM ");
            self.source(source);
        }
        for join in &select.joins {
            self.put(" ");
            self.put(join.kind.text());
            self.put(" ");
            self.source(&join.source);
            self.clause(" ON ", Some(&join.on));
        }
        self.clause(" WHERE ", select.filter.as_ref());
        if !select.group.is_empty() {
            self.put(" GROUP BY ");
            self.list(&select.group, |printer, key| printer.expression(key, level::OR));
        }
        self.clause(" HAVING ", select.having.as_ref());
        self.ends(&select.order, select.limit.as_ref(), select.offset.as_ref());
    }

    fn ends(&mut self, order: &[Order], limit: Option<&Expr>, offset: Option<&Expr>) {
        if !order.is_empty() {
            self.put(" ");
            self.order(order);
        }
        self.clause(" LIMIT ", limit);
        self.clause(" OFFSET ", offset);
    }

    fn order(&mut self, order: &[Order]) {
        self.put("ORDER BY ");
        self.list(order, |printer, order| {
            printer.expression(&order.expr, level::OR);
            printer.put(if order.descending { " DESC" } else { "" });
        });
    }

    /// Prints `function(argument) OVER (…)`.
    pub(super) fn window(&mut self, window: &Window) {
        self.put(window.function.name());
        self.put("(");
        match (&window.argument, window.function) {
            (Some(argument), _) => self.expression(argument, level::OR),
            (None, WindowFunction::Aggregate(_)) => self.put("*"),
            (None, _) => {}
        }
        self.put(") OVER (");
        if !window.partition.is_empty() {
            self.put("PARTITION BY ");
            self.list(&window.partition, |printer, key| printer.expression(key, level::OR));
            self.put(if window.order.is_empty() { "" } else { " " });
        }
        if !window.order.is_empty() {
            self.order(&window.order);
        }
        self.put(")");
    }

    pub(super) fn projection(&mut self, item: &Projection) {
        match item {
            Projection::All(_) => self.put("*"),
            Projection::AllOf(alias, _) => {
                self.name(alias);
                self.put(".*");
            }
            Projection::Expr(expr, alias, _) => {
                self.expression(expr, level::OR);
                if let Some(alias) = alias {
                    self.put(" AS ");
                    self.name(alias);
                }
            }
            Projection::Without(name) => {
                self.put("MISSING ");
                self.name(name);
            }
        }
    }

    pub(super) fn source(&mut self, source: &Source) {
        if let Some(query) = &source.query {
            self.put("(");
            self.query(query);
            self.put(")");
        } else {
            self.collection(source);
        }
        if let Some(alias) = &source.alias {
            self.put(" AS ");
            self.name(alias);
        }
        self.hints(source);
    }

    /// Prints the name and the declared types.
    fn collection(&mut self, source: &Source) {
        if !source.types.is_empty() {
            self.put("COLLECTION ");
        }
        match source.collection.strip_prefix("system:") {
            Some(name) if is_plain(name) => self.put(&source.collection),
            _ => self.name(&source.collection),
        }
        if !source.types.is_empty() {
            self.put(" (");
            self.list(&source.types, |printer, (path, field_type)| {
                printer.names(path);
                printer.put(" ");
                printer.put(field_type.name());
            });
            self.put(")");
        }
    }

    fn hints(&mut self, source: &Source) {
        match &source.ids {
            Some(Ids::Array(list, _)) => {
                self.put(" USE IDS LIST ");
                self.expression(list, level::OR);
            }
            Some(Ids::Each(ids, _)) => {
                self.put(" USE IDS (");
                self.list(ids, |printer, id| printer.expression(id, level::OR));
                self.put(")");
            }
            None => {}
        }
        if let Some((index, _)) = &source.index {
            self.put(" USE INDEX ");
            self.string(index);
        }
        if let Some((directives, _)) = &source.directives {
            let mut text = Printer { text: String::new() };
            text.expression(directives, level::OR);
            self.put(" USE DIRECTIVES ");
            self.string(&text.text);
        }
    }
}
