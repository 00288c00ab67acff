//! The rules of statements about the store: indexes, parameters, advice, explanations.

use super::Parser;
use crate::ast::{Advise, AlterSystem, Case, CreateIndex, DropIndex, Show, Statement};
use crate::error::DqlError;
use crate::token::Kind;

impl Parser<'_> {
    /// Reads a command if one comes.
    pub(super) fn command(&mut self) -> Result<Option<Statement>, DqlError> {
        Ok(Some(if self.eat_word("EXPLAIN")? {
            Statement::Explain(Box::new(self.explained()?))
        } else if self.eat_word("PROFILE")? {
            Statement::Profile(Box::new(self.explained()?))
        } else if self.eat_word("ADVISE")? {
            let provision = self.eat_word("AND")?;
            if provision {
                self.expect_word("PROVISION")?;
            }
            Statement::Advise(Advise { provision, statement: Box::new(self.explained()?) })
        } else if self.eat_word("CREATE")? {
            self.expect_word("INDEX")?;
            Statement::CreateIndex(self.create_index()?)
        } else if self.eat_word("DROP")? {
            self.expect_word("INDEX")?;
            Statement::DropIndex(self.drop_index()?)
        } else if self.eat_word("ALTER")? {
            self.expect_word("SYSTEM")?;
            Statement::AlterSystem(self.alter_system()?)
        } else if self.eat_word("SHOW")? {
            Statement::Show(self.show()?)
        } else {
            return Ok(None);
        }))
    }

    /// Reads what EXPLAIN, PROFILE and ADVISE are about: a statement about documents.
    fn explained(&mut self) -> Result<Statement, DqlError> {
        self.mutation_or_query()
    }

    fn create_index(&mut self) -> Result<CreateIndex, DqlError> {
        let if_absent = self.eat_word("IF")?;
        if if_absent {
            self.expect_word("NOT")?;
            self.expect_word("EXISTS")?;
        }
        let span = self.token.span;
        let name = self.name("the name of the index")?;
        self.expect_word("ON")?;
        let source = self.source(false)?;
        self.expect("(")?;
        let keys = self.list(|parser| {
            let path = parser.target()?.path;
            let descending = parser.eat_word("DESC")?;
            if !descending {
                parser.eat_word("ASC")?;
            }
            Ok((path, descending))
        })?;
        self.expect(")")?;
        Ok(CreateIndex { if_absent, name, source, keys, span })
    }

    fn drop_index(&mut self) -> Result<DropIndex, DqlError> {
        let if_exists = self.eat_word("IF")?;
        if if_exists {
            self.expect_word("EXISTS")?;
        }
        let span = self.token.span;
        let name = self.name("the name of the index")?;
        self.expect_word("ON")?;
        Ok(DropIndex { if_exists, name, source: self.source(false)?, span })
    }

    fn alter_system(&mut self) -> Result<AlterSystem, DqlError> {
        if self.eat_word("RESET")? {
            if self.eat_word("ALL")? {
                return Ok(AlterSystem::ResetAll);
            }
            let span = self.token.span;
            return Ok(AlterSystem::Set(self.name("the name of a parameter")?, None, span));
        }
        self.expect_word("SET")?;
        let span = self.token.span;
        let name = self.name("the name of a parameter")?;
        if !self.eat("=")? {
            self.expect_word("TO")?;
        }
        let value = if self.eat_word("DEFAULT")? { None } else { Some(self.expression()?) };
        Ok(AlterSystem::Set(name, value, span))
    }

    fn show(&mut self) -> Result<Show, DqlError> {
        if !self.eat_word("ALL")? {
            let span = self.token.span;
            return Ok(Show::One(self.name("the name of a parameter or ALL")?, span));
        }
        let case = if self.eat_word("LIKE")? {
            Case::Sensitive
        } else if self.eat_word("ILIKE")? {
            Case::Insensitive
        } else {
            return Ok(Show::All(None));
        };
        Ok(Show::All(Some((self.string("a pattern as a string")?, case))))
    }

    /// Reads a string.
    pub(super) fn string(&mut self, what: &str) -> Result<String, DqlError> {
        match &mut self.token.kind {
            Kind::Str(text) => {
                let text = std::mem::take(text);
                self.advance()?;
                Ok(text)
            }
            _ => Err(self.unexpected(what)),
        }
    }
}
