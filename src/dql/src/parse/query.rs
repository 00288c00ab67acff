//! The rules of queries: WITH, set operators, SELECT, sources and joins.
//!
//! INTERSECT binds tighter than UNION and EXCEPT; operators of one level are applied from left to right. ORDER BY, LIMIT and
//! OFFSET after the last operand belong to the whole.

use super::Parser;
use crate::ast::{Body, FieldType, Ids, Join, JoinKind, Named, Order, Projection, Query, Select, SetOperator, Source};
use crate::error::{DqlError, Span};
use crate::token::Kind;

/// How deep a sub-query counts among nested expressions: it takes that much more of the stack.
const QUERY_DEPTH: usize = 8;

impl Parser<'_> {
    /// Reads a whole query.
    pub(super) fn query(&mut self) -> Result<Query, DqlError> {
        let with = if self.eat_word("WITH")? { self.list(Self::named)? } else { Vec::new() };
        if with.len() > NAMED_MAX {
            return Err(DqlError::invalid("WITH names at most 1000 queries", with[NAMED_MAX].span));
        }
        let intersected = self.intersection()?;
        let mut united = Vec::new();
        while let Some(operator) = self.set_operator(&[SetOperator::Union, SetOperator::Except])? {
            united.push((operator, whole(self.intersection()?)));
        }
        let (mut first, rest) = if united.is_empty() { intersected } else { (whole(intersected), united) };
        let (mut order, mut limit, mut offset) = self.ends()?;
        if let (Body::Select(select), true) = (&mut first, rest.is_empty()) {
            (select.order, select.limit, select.offset) = (std::mem::take(&mut order), limit.take(), offset.take());
        }
        if self.set_operator(&[SetOperator::Union, SetOperator::Except, SetOperator::Intersect])?.is_some() {
            let message = "an operand with ORDER BY, LIMIT or OFFSET stands in parentheses";
            return Err(DqlError::invalid(message, self.last));
        }
        Ok(Query { with, first, rest, order, limit, offset })
    }

    /// Reads a query that stands in parentheses; the opening one is behind.
    ///
    /// Not inlined: expressions nest, and each level would keep room for a query on the stack.
    #[inline(never)]
    pub(super) fn subquery(&mut self) -> Result<Box<Query>, DqlError> {
        let query = self.much_deeper(QUERY_DEPTH, Self::query)?;
        self.expect(")")?;
        Ok(Box::new(query))
    }

    /// Says whether a query comes: SELECT or WITH, after any number of parentheses.
    pub(super) fn at_query(&self) -> bool {
        let mut lexer = self.lexer;
        let mut kind = self.token.kind.clone();
        while kind == Kind::Symbol("(") {
            kind = lexer.next().map_or(Kind::End, |token| token.kind);
        }
        match kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("SELECT") => true,
            Kind::Word(word) if word.eq_ignore_ascii_case("WITH") => {
                matches!(lexer.next().map(|token| token.kind), Ok(Kind::Word(_) | Kind::Quoted(_)))
            }
            _ => false,
        }
    }

    fn named(&mut self) -> Result<Named, DqlError> {
        let span = self.token.span;
        let name = self.name("a name")?;
        self.expect_word("AS")?;
        self.expect("(")?;
        Ok(Named { name, span, query: *self.subquery()? })
    }

    /// Reads operands joined by INTERSECT.
    fn intersection(&mut self) -> Result<Operands, DqlError> {
        let first = self.body()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.set_operator(&[SetOperator::Intersect])? {
            rest.push((operator, self.body()?));
        }
        Ok((first, rest))
    }

    fn set_operator(&mut self, wanted: &[SetOperator]) -> Result<Option<SetOperator>, DqlError> {
        let word = |operator: SetOperator| match operator {
            SetOperator::Except => "EXCEPT",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Union | SetOperator::UnionAll => "UNION",
        };
        for operator in wanted {
            if self.eat_word(word(*operator))? {
                let all = self.eat_word("ALL")?;
                return match (operator, all) {
                    (SetOperator::Union, true) => Ok(Some(SetOperator::UnionAll)),
                    (_, true) => Err(self.unsupported(&[word(*operator), " ALL"].concat())),
                    _ => Ok(Some(*operator)),
                };
            }
        }
        Ok(None)
    }

    fn body(&mut self) -> Result<Body, DqlError> {
        if self.eat("(")? {
            return Ok(Body::Query(self.subquery()?));
        }
        if !self.at_word("SELECT") {
            return Err(self.unexpected(""));
        }
        Ok(Body::Select(Box::new(self.select()?)))
    }

    /// Reads `[ORDER BY …] [LIMIT …] [OFFSET …]`.
    fn ends(&mut self) -> Result<Ends, DqlError> {
        let order = if self.eat_word("ORDER")? {
            self.expect_word("BY")?;
            let keys = self.list(Self::order)?;
            if keys.len() > KEYS_MAX {
                return Err(DqlError::invalid("an order has at most 1000 keys", self.last));
            }
            keys
        } else {
            Vec::new()
        };
        Ok((order, self.optional_expression("LIMIT")?, self.optional_expression("OFFSET")?))
    }

    fn select(&mut self) -> Result<Select, DqlError> {
        let span = self.advance()?;
        let distinct = if self.at_word("DISTINCT") { Some(self.advance()?) } else { None };
        let projection = self.list(Self::projection)?;
        let from = if self.eat_word("FROM")? { Some(self.source(true)?) } else { None };
        let mut joins = Vec::new();
        if from.is_some() {
            while let Some(join) = self.join()? {
                joins.push(join);
            }
            if self.token.kind == Kind::Symbol(",") {
                return Err(self.unsupported("a join by comma; write JOIN … ON …"));
            }
        }
        let filter = self.optional_expression("WHERE")?;
        let group = if self.eat_word("GROUP")? {
            self.expect_word("BY")?;
            let keys = self.list(Self::expression)?;
            if keys.len() > KEYS_MAX {
                return Err(DqlError::invalid("a group has at most 1000 keys", self.last));
            }
            keys
        } else {
            Vec::new()
        };
        let having = self.optional_expression("HAVING")?;
        let (order, limit, offset) = (Vec::new(), None, None);
        Ok(Select { span, distinct, projection, from, joins, filter, group, having, order, limit, offset })
    }

    fn join(&mut self) -> Result<Option<Join>, DqlError> {
        for word in ["FULL", "CROSS", "NATURAL"] {
            let follows = matches!(self.ahead(), Kind::Word(next) if ["JOIN", "OUTER"].iter().any(|word| word.eq_ignore_ascii_case(next)));
            if follows && matches!(self.token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word)) {
                return Err(self.unsupported(&[word, " JOIN"].concat()));
            }
        }
        let kind = if self.eat_word("INNER")? {
            JoinKind::Inner
        } else if self.eat_word("LEFT")? {
            self.eat_word("OUTER")?;
            JoinKind::Left
        } else if self.eat_word("RIGHT")? {
            self.eat_word("OUTER")?;
            JoinKind::Right
        } else if self.at_word("JOIN") {
            JoinKind::Inner
        } else {
            return Ok(None);
        };
        self.expect_word("JOIN")?;
        let source = self.source(true)?;
        self.expect_word("ON")?;
        Ok(Some(Join { kind, source, on: self.expression()? }))
    }

    pub(super) fn projection(&mut self) -> Result<Projection, DqlError> {
        let start = self.token.span.start;
        if self.at("*") {
            return Ok(Projection::All(self.advance()?));
        }
        if self.at_word("MISSING") {
            let names_a_field = match self.ahead() {
                Kind::Quoted(_) => true,
                Kind::Word(word) => !super::is_reserved(word),
                _ => false,
            };
            if names_a_field {
                self.advance()?;
                return Ok(Projection::Without(self.name("the name of a field")?));
            }
        }
        if let Some(alias) = self.alias_of_all()? {
            return Ok(Projection::AllOf(alias, self.since(start)));
        }
        let expr = self.expression()?;
        let span = self.since(start);
        let alias = if self.eat_word("AS")? { Some(self.name("a name")?) } else { self.optional_name()? };
        Ok(Projection::Expr(expr, alias, span))
    }

    /// Reads `alias.*` if that is what comes.
    fn alias_of_all(&mut self) -> Result<Option<String>, DqlError> {
        let mut lexer = self.lexer;
        let mut follows = |symbol| matches!(lexer.next(), Ok(token) if token.kind == Kind::Symbol(symbol));
        if !(follows(".") && follows("*")) {
            return Ok(None);
        }
        let alias = self.optional_name()?;
        if alias.is_some() {
            self.expect(".")?;
            self.expect("*")?;
        }
        Ok(alias)
    }

    pub(super) fn order(&mut self) -> Result<Order, DqlError> {
        let expr = self.expression()?;
        let descending = self.eat_word("DESC")?;
        if !descending {
            self.eat_word("ASC")?;
        }
        Ok(Order { expr, descending })
    }

    /// Reads a collection or a query in parentheses, and where they are allowed its alias and hints.
    pub(super) fn source(&mut self, with_alias: bool) -> Result<Source, DqlError> {
        let start = self.token.span.start;
        if with_alias && self.at("(") && self.at_query() {
            self.advance()?;
            let query = Some(self.subquery()?);
            let span = self.since(start);
            self.eat_word("AS")?;
            let alias = Some(self.name("a name for the sub-query")?);
            return Ok(Source { query, alias, ..plain_source(String::new(), span) });
        }
        let declared = self.at_word("COLLECTION") && matches!(self.ahead(), Kind::Word(_) | Kind::Quoted(_));
        if declared {
            self.advance()?;
        }
        let mut collection = self.name("the name of a collection")?;
        if let Kind::Parameter(name) = self.token.kind {
            collection = match collection.as_str() {
                "default" => name.to_owned(),
                "system" => ["system:", name].concat(),
                _ => return Err(self.unexpected("the namespace default or system")),
            };
            self.advance()?;
        }
        let mut source = plain_source(collection, self.since(start));
        if declared && self.eat("(")? {
            self.declarations(&mut Vec::new(), &mut source.types)?;
        }
        source.alias = match with_alias {
            true if self.eat_word("AS")? => Some(self.name("a name")?),
            true => self.optional_name()?,
            false => None,
        };
        while self.at_word("USE") {
            let span = self.advance()?;
            self.hint(&mut source, span)?;
        }
        Ok(source)
    }

    /// Reads what follows USE.
    fn hint(&mut self, source: &mut Source, span: Span) -> Result<(), DqlError> {
        let twice = |is: bool| if is { Err(DqlError::invalid("this hint stands twice", span)) } else { Ok(()) };
        if self.eat_word("INDEX")? {
            twice(source.index.is_some())?;
            let at = self.token.span;
            source.index = Some((self.string("the name of an index as a string")?, at));
        } else if self.eat_word("DIRECTIVES")? {
            twice(source.directives.is_some())?;
            let at = self.token.span;
            let text = self.string("directives as a string of JSON")?;
            source.directives = Some((super::directives(&text, at)?, at));
        } else {
            self.expect_word("IDS")?;
            twice(source.ids.is_some())?;
            source.ids = Some(self.ids()?);
        }
        Ok(())
    }

    fn ids(&mut self) -> Result<Ids, DqlError> {
        let start = self.token.span.start;
        if self.eat_word("LIST")? {
            let list = self.expression()?;
            return Ok(Ids::Array(list, self.since(start)));
        }
        let ids = if self.eat("(")? {
            let ids = self.list(Self::expression)?;
            self.expect(")")?;
            ids
        } else {
            self.list(Self::expression)?
        };
        Ok(Ids::Each(ids, self.since(start)))
    }

    /// Reads `path TYPE, …)`; a nested MAP declaration adds its fields under its own path.
    fn declarations(
        &mut self,
        prefix: &mut Vec<String>,
        types: &mut Vec<(Vec<String>, FieldType)>,
    ) -> Result<(), DqlError> {
        loop {
            let depth = prefix.len();
            let start = self.token.span.start;
            prefix.push(self.name("the name of a field")?);
            while self.eat(".")? {
                prefix.push(self.member_name()?);
            }
            if types.iter().any(|(path, _)| path == prefix) {
                return Err(DqlError::invalid("this field is declared twice", self.since(start)));
            }
            if types.len() == DECLARATIONS_MAX {
                return Err(DqlError::invalid("a statement declares at most 1000 fields", self.since(start)));
            }
            let mut found = None;
            for field_type in FieldType::ALL {
                if found.is_none() && self.at_word(field_type.name()) {
                    found = Some(field_type);
                }
            }
            let Some(field_type) = found else { return Err(self.unexpected("")) };
            self.advance()?;
            types.push((prefix.clone(), field_type));
            if field_type == FieldType::Map && self.eat("(")? {
                self.deeper(|parser| parser.declarations(prefix, types))?;
            }
            prefix.truncate(depth);
            if !self.eat(",")? {
                return self.expect(")");
            }
        }
    }
}

/// ORDER BY, LIMIT and OFFSET.
type Ends = (Vec<Order>, Option<crate::ast::Expr>, Option<crate::ast::Expr>);

/// A source without alias and hints.
fn plain_source(collection: String, span: Span) -> Source {
    Source { collection, query: None, types: Vec::new(), alias: None, ids: None, index: None, directives: None, span }
}

/// How many fields a statement declares at most: subscriptions come from other peers, and each declaration is compared with
/// all before it.
const DECLARATIONS_MAX: usize = 1000;

/// How many keys an order or a group has at most: each is looked for among the columns.
const KEYS_MAX: usize = 1000;

/// How many queries WITH names at most: each is compared with all before it.
const NAMED_MAX: usize = 1000;

/// What set operators of one level join.
type Operands = (Body, Vec<(SetOperator, Body)>);

/// Makes one operand of several.
fn whole((first, rest): Operands) -> Body {
    if rest.is_empty() {
        return first;
    }
    Body::Query(Box::new(Query { with: Vec::new(), first, rest, order: Vec::new(), limit: None, offset: None }))
}
