//! Statements other than queries to text.

use super::Printer;
use crate::ast::{
    AlterSystem, Application, Case, ConflictPolicy, CreateIndex, Insert, Projection, Removal, Show, Statement, Update,
    level,
};

impl Printer {
    pub(super) fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Advise(advise) => {
                self.put(if advise.provision { "ADVISE AND PROVISION " } else { "ADVISE " });
                self.statement(&advise.statement);
            }
            Statement::AlterSystem(alter) => self.alter_system(alter),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::Delete(removal) => self.removal("DELETE FROM ", removal),
            Statement::Directed(directives, inner) => {
                let mut text = Printer { text: String::new() };
                text.expression(directives, level::OR);
                self.put("/*+ ");
                // A string may hold what would end the comment.
                self.put(&text.text.replace("*/", "*\\/"));
                self.put(" */ ");
                self.statement(inner);
            }
            Statement::DropIndex(drop) => {
                self.put(if drop.if_exists { "DROP INDEX IF EXISTS " } else { "DROP INDEX " });
                self.name(&drop.name);
                self.put(" ON ");
                self.source(&drop.source);
            }
            Statement::Evict(removal) => self.removal("EVICT FROM ", removal),
            Statement::Explain(inner) => {
                self.put("EXPLAIN ");
                self.statement(inner);
            }
            Statement::Insert(insert) => self.insert(insert),
            Statement::Profile(inner) => {
                self.put("PROFILE ");
                self.statement(inner);
            }
            Statement::Select(query) => self.query(query),
            Statement::Show(show) => self.show(show),
            Statement::Update(update) => self.update(update),
        }
    }

    fn insert(&mut self, insert: &Insert) {
        self.put("INSERT INTO ");
        self.source(&insert.source);
        if let Some(query) = &insert.query {
            self.put(" ");
            self.query(query);
        } else {
            self.put(if insert.initial { " INITIAL DOCUMENTS " } else { " DOCUMENTS " });
        }
        self.list(&insert.documents, |printer, (document, _)| {
            printer.put("(");
            printer.expression(document, level::OR);
            printer.put(")");
        });
        self.put(match insert.policy {
            ConflictPolicy::Fail => "",
            ConflictPolicy::Nothing => " ON ID CONFLICT DO NOTHING",
            ConflictPolicy::Update => " ON ID CONFLICT DO UPDATE",
            ConflictPolicy::UpdateLocalDiff => " ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
        });
        self.returning(&insert.returning);
    }

    fn update(&mut self, update: &Update) {
        self.put("UPDATE ");
        self.source(&update.source);
        if !update.apply.is_empty() {
            self.put(" APPLY ");
            self.list(&update.apply, |printer, (target, application)| {
                printer.names(&target.path);
                printer.application(application);
            });
        }
        if !update.set.is_empty() {
            self.put(" SET ");
            self.list(&update.set, |printer, (target, expr)| {
                printer.names(&target.path);
                printer.put(" = ");
                printer.expression(expr, level::OR);
            });
        }
        if !update.unset.is_empty() {
            self.put(" UNSET ");
            self.list(&update.unset, |printer, target| printer.names(&target.path));
        }
        self.clause(" WHERE ", update.filter.as_ref());
        self.returning(&update.returning);
    }

    fn application(&mut self, application: &Application) {
        match application {
            Application::Increment(by) => self.clause(" INCREMENT BY ", Some(by)),
            Application::PnIncrement(by) => self.clause(" PN_INCREMENT BY ", Some(by)),
            Application::Restart(with) => {
                self.put(" RESTART");
                self.clause(" WITH ", with.as_ref());
            }
            Application::Splice(parts) => {
                self.put(" SPLICE (");
                self.list(parts, |printer, part| printer.expression(part, level::OR));
                self.put(")");
            }
        }
    }

    fn removal(&mut self, verb: &str, removal: &Removal) {
        self.put(verb);
        self.source(&removal.source);
        self.clause(" WHERE ", removal.filter.as_ref());
        self.clause(" LIMIT ", removal.limit.as_ref());
        self.returning(&removal.returning);
    }

    fn returning(&mut self, items: &[Projection]) {
        if !items.is_empty() {
            self.put(" RETURNING ");
            self.list(items, Self::projection);
        }
    }

    fn create_index(&mut self, create: &CreateIndex) {
        self.put(if create.if_absent { "CREATE INDEX IF NOT EXISTS " } else { "CREATE INDEX " });
        self.name(&create.name);
        self.put(" ON ");
        self.source(&create.source);
        self.put(" (");
        self.list(&create.keys, |printer, (path, descending)| {
            printer.names(path);
            printer.put(if *descending { " DESC" } else { "" });
        });
        self.put(")");
    }

    fn alter_system(&mut self, alter: &AlterSystem) {
        match alter {
            AlterSystem::ResetAll => self.put("ALTER SYSTEM RESET ALL"),
            AlterSystem::Set(name, None, _) => {
                self.put("ALTER SYSTEM RESET ");
                self.name(name);
            }
            AlterSystem::Set(name, Some(value), _) => {
                self.put("ALTER SYSTEM SET ");
                self.name(name);
                self.clause(" = ", Some(value));
            }
        }
    }

    fn show(&mut self, show: &Show) {
        match show {
            Show::All(pattern) => {
                self.put("SHOW ALL");
                if let Some((pattern, case)) = pattern {
                    self.put(if *case == Case::Sensitive { " LIKE " } else { " ILIKE " });
                    self.string(pattern);
                }
            }
            Show::One(name, _) => {
                self.put("SHOW ");
                // ALL in back-ticks is the name of a parameter.
                let quoted = name.eq_ignore_ascii_case("ALL");
                self.put(if quoted { "`ALL`" } else { "" });
                if !quoted {
                    self.name(name);
                }
            }
        }
    }
}
