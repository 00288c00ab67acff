//! The rules of statements. Source: the grammar in reference 2.2; `docs/dql.md` says which part is built.

use super::Parser;
use crate::ast::{Application, ConflictPolicy, Insert, Projection, Removal, Statement, Target, Update};
use crate::error::DqlError;
use crate::token::Kind;

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement, DqlError> {
        for word in ["SYNC", "BEGIN", "COMMIT"] {
            if matches!(self.token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word)) {
                return Err(self.unsupported(word));
            }
        }
        if let Some(command) = self.command()? {
            return Ok(command);
        }
        self.mutation_or_query()
    }

    /// Reads a statement about documents.
    pub(super) fn mutation_or_query(&mut self) -> Result<Statement, DqlError> {
        if self.at_query() || self.at_word("SELECT") {
            return Ok(Statement::Select(self.query()?));
        }
        if self.eat_word("INSERT")? {
            return Ok(Statement::Insert(self.insert()?));
        }
        if self.eat_word("UPDATE")? {
            return Ok(Statement::Update(self.update()?));
        }
        if self.eat_word("DELETE")? {
            return Ok(Statement::Delete(self.removal()?));
        }
        if self.eat_word("EVICT")? {
            return Ok(Statement::Evict(self.removal()?));
        }
        Err(self.unexpected(""))
    }

    fn insert(&mut self) -> Result<Insert, DqlError> {
        self.expect_word("INTO")?;
        let source = self.source(false)?;
        let initial = self.eat_word("INITIAL")?;
        if !initial && self.at_query() {
            let query = Some(Box::new(self.query()?));
            let policy = if self.eat_word("ON")? { self.policy()? } else { ConflictPolicy::default() };
            let returning = self.returning()?;
            return Ok(Insert { source, initial, documents: Vec::new(), query, policy, returning });
        }
        if !(self.eat_word("DOCUMENTS")? || self.eat_word("VALUES")?) {
            return Err(self.unexpected(""));
        }
        let documents = self.list(|parser| {
            parser.expect("(")?;
            let start = parser.token.span.start;
            let document = parser.expression()?;
            let span = parser.since(start);
            parser.expect(")")?;
            Ok((document, span))
        })?;
        let policy = if self.eat_word("ON")? { self.policy()? } else { ConflictPolicy::default() };
        Ok(Insert { source, initial, documents, query: None, policy, returning: self.returning()? })
    }

    /// Reads what follows ON.
    fn policy(&mut self) -> Result<ConflictPolicy, DqlError> {
        self.expect_word("ID")?;
        self.expect_word("CONFLICT")?;
        let with_do = self.eat_word("DO")?;
        if !with_do && self.eat_word("FAIL")? {
            return Ok(ConflictPolicy::Fail);
        }
        if self.eat_word("NOTHING")? {
            return Ok(ConflictPolicy::Nothing);
        }
        if with_do && self.eat_word("UPDATE")? {
            return Ok(ConflictPolicy::Update);
        }
        if with_do && self.eat_word("UPDATE_LOCAL_DIFF")? {
            return Ok(ConflictPolicy::UpdateLocalDiff);
        }
        Err(self.unexpected(""))
    }

    fn update(&mut self) -> Result<Update, DqlError> {
        let source = self.source(false)?;
        let mut apply = Vec::new();
        while self.eat_word("APPLY")? {
            apply.append(&mut self.list(Self::application)?);
        }
        let set = if self.eat_word("SET")? {
            self.list(|parser| {
                let target = parser.target()?;
                parser.expect("=")?;
                Ok((target, parser.expression()?))
            })?
        } else {
            Vec::new()
        };
        let unset = if self.eat_word("UNSET")? { self.list(Self::target)? } else { Vec::new() };
        if apply.is_empty() && set.is_empty() && unset.is_empty() {
            return Err(self.unexpected(""));
        }
        let filter = self.optional_expression("WHERE")?;
        Ok(Update { source, apply, set, unset, filter, returning: self.returning()? })
    }

    fn application(&mut self) -> Result<(Target, Application), DqlError> {
        let target = self.target()?;
        let increment = self.eat_word("INCREMENT")?;
        let application = if increment || self.eat_word("PN_INCREMENT")? {
            self.expect_word("BY")?;
            let by = self.expression()?;
            if increment { Application::Increment(by) } else { Application::PnIncrement(by) }
        } else if self.eat_word("SPLICE")? {
            self.expect("(")?;
            let mut parts = vec![self.expression()?];
            self.expect(",")?;
            parts.push(self.expression()?);
            if self.eat(",")? {
                parts.push(self.expression()?);
            }
            self.expect(")")?;
            Application::Splice(parts)
        } else {
            self.expect_word("RESTART")?;
            Application::Restart(if self.eat_word("WITH")? { Some(self.expression()?) } else { None })
        };
        Ok((target, application))
    }

    /// Reads the path of a field to change: names only.
    pub(super) fn target(&mut self) -> Result<Target, DqlError> {
        let start = self.token.span.start;
        let mut path = vec![self.name("the name of a field")?];
        loop {
            if self.eat(".")? {
                path.push(self.member_name()?);
            } else if self.eat("[")? {
                let Kind::Str(name) = &mut self.token.kind else {
                    return Err(self.unsupported("assignment to an item of an array"));
                };
                path.push(std::mem::take(name));
                self.advance()?;
                self.expect("]")?;
            } else {
                return Ok(Target { path, span: self.since(start) });
            }
        }
    }

    fn removal(&mut self) -> Result<Removal, DqlError> {
        self.expect_word("FROM")?;
        let source = self.source(true)?;
        let filter = self.optional_expression("WHERE")?;
        let limit = self.optional_expression("LIMIT")?;
        Ok(Removal { source, filter, limit, returning: self.returning()? })
    }

    fn returning(&mut self) -> Result<Vec<Projection>, DqlError> {
        if self.eat_word("RETURNING")? { self.list(Self::projection) } else { Ok(Vec::new()) }
    }
}
