//! The rules of statements. Source: the grammar in reference 2.2; `docs/dql.md` says which part is built.

use super::Parser;
use crate::ast::{
    Application, ConflictPolicy, FieldType, Ids, Insert, Order, Projection, Removal, Select, Source, Statement, Target,
    Update,
};
use crate::error::DqlError;
use crate::token::Kind;

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement, DqlError> {
        for word in ["ADVISE", "ALTER", "CREATE", "DROP", "PROFILE", "SHOW", "SYNC", "WITH", "BEGIN", "COMMIT"] {
            if matches!(self.token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word)) {
                return Err(self.unsupported(word));
            }
        }
        if self.eat_word("EXPLAIN")? {
            if self.at_word("EXPLAIN") {
                return Err(self.unexpected("a statement"));
            }
            return Ok(Statement::Explain(Box::new(self.statement()?)));
        }
        if self.at_word("SELECT") {
            return Ok(Statement::Select(self.select()?));
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

    fn select(&mut self) -> Result<Select, DqlError> {
        let span = self.advance()?.span;
        let distinct = if self.at_word("DISTINCT") { Some(self.advance()?.span) } else { None };
        let projection = self.list(Self::projection)?;
        let from = if self.eat_word("FROM")? { Some(self.source(true)?) } else { None };
        self.refuse_joins()?;
        let filter = self.optional_expression("WHERE")?;
        let group = if self.eat_word("GROUP")? {
            self.expect_word("BY")?;
            self.list(Self::expression)?
        } else {
            Vec::new()
        };
        let having = self.optional_expression("HAVING")?;
        let order = if self.eat_word("ORDER")? {
            self.expect_word("BY")?;
            self.list(Self::order)?
        } else {
            Vec::new()
        };
        let limit = self.optional_expression("LIMIT")?;
        let offset = self.optional_expression("OFFSET")?;
        for word in ["UNION", "INTERSECT", "EXCEPT"] {
            if matches!(self.token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word)) {
                return Err(self.unsupported(word));
            }
        }
        Ok(Select { span, distinct, projection, from, filter, group, having, order, limit, offset })
    }

    fn refuse_joins(&mut self) -> Result<(), DqlError> {
        let joins = ["JOIN", "INNER", "LEFT", "RIGHT", "FULL"];
        let join =
            matches!(self.token.kind, Kind::Word(word) if joins.iter().any(|join| join.eq_ignore_ascii_case(word)));
        if join || self.token.kind == Kind::Symbol(",") {
            return Err(self.unsupported("JOIN"));
        }
        Ok(())
    }

    fn projection(&mut self) -> Result<Projection, DqlError> {
        let start = self.token.span.start;
        if self.at("*") {
            return Ok(Projection::All(self.advance()?.span));
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

    fn order(&mut self) -> Result<Order, DqlError> {
        let expr = self.expression()?;
        let descending = self.eat_word("DESC")?;
        if !descending {
            self.eat_word("ASC")?;
        }
        Ok(Order { expr, descending })
    }

    /// Reads a collection, and where they are allowed its alias and hints.
    fn source(&mut self, with_alias: bool) -> Result<Source, DqlError> {
        let start = self.token.span.start;
        if self.token.kind == Kind::Symbol("(") {
            return Err(self.unsupported("sub-query"));
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
        let span = self.since(start);
        let mut types = Vec::new();
        if declared && self.eat("(")? {
            self.declarations(&mut Vec::new(), &mut types)?;
        }
        let alias = match with_alias {
            true if self.eat_word("AS")? => Some(self.name("a name")?),
            true => self.optional_name()?,
            false => None,
        };
        let mut ids = None;
        while self.at_word("USE") {
            let use_span = self.advance()?.span;
            for hint in ["INDEX", "DIRECTIVES"] {
                if matches!(self.token.kind, Kind::Word(found) if found.eq_ignore_ascii_case(hint)) {
                    return Err(self.unsupported(&["USE ", hint].concat()));
                }
            }
            self.expect_word("IDS")?;
            if ids.is_some() {
                return Err(DqlError::invalid("USE IDS stands twice", use_span));
            }
            ids = Some(self.ids()?);
        }
        Ok(Source { collection, types, alias, ids, span })
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

    fn insert(&mut self) -> Result<Insert, DqlError> {
        self.expect_word("INTO")?;
        let source = self.source(false)?;
        let initial = self.eat_word("INITIAL")?;
        if matches!(self.token.kind, Kind::Word(word) if word.eq_ignore_ascii_case("SELECT")) {
            return Err(self.unsupported("INSERT … SELECT"));
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
        self.refuse_returning()?;
        Ok(Insert { source, initial, documents, policy })
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
        self.refuse_returning()?;
        Ok(Update { source, apply, set, unset, filter })
    }

    fn application(&mut self) -> Result<(Target, Application), DqlError> {
        let target = self.target()?;
        let increment = self.eat_word("INCREMENT")?;
        let application = if increment || self.eat_word("PN_INCREMENT")? {
            self.expect_word("BY")?;
            let by = self.expression()?;
            if increment { Application::Increment(by) } else { Application::PnIncrement(by) }
        } else {
            self.expect_word("RESTART")?;
            Application::Restart(if self.eat_word("WITH")? { Some(self.expression()?) } else { None })
        };
        Ok((target, application))
    }

    /// Reads the path of a field to change: names only.
    fn target(&mut self) -> Result<Target, DqlError> {
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
        self.refuse_returning()?;
        Ok(Removal { source, filter, limit })
    }

    fn refuse_returning(&mut self) -> Result<(), DqlError> {
        match self.token.kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("RETURNING") => Err(self.unsupported("RETURNING")),
            _ => Ok(()),
        }
    }
}

/// How many fields a statement declares at most: subscriptions come from other peers, and each declaration is compared with
/// all before it.
const DECLARATIONS_MAX: usize = 1000;
