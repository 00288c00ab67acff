//! [`Statement`] to text in one canonical form: keywords in capitals, single quotes, the fewest parentheses.
//!
//! Invariants: what is printed parses to the same statement, so `print(parse(s))` is a fixed point; the text has one line;
//! names are quoted only where they must be.

mod construct;
mod query;
mod statement;

use value::Value;

use crate::ast::{Absence, Case, Expr, Negation, Statement, Step, level};
use crate::function::Function;
use crate::parse::is_reserved;

/// Returns the canonical text of a statement.
pub fn print(statement: &Statement) -> String {
    let mut printer = Printer { text: String::new() };
    printer.statement(statement);
    printer.text
}

struct Printer {
    text: String,
}

impl Printer {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn clause(&mut self, words: &str, expr: Option<&Expr>) {
        if let Some(expr) = expr {
            self.put(words);
            self.expression(expr, level::OR);
        }
    }

    fn list<T>(&mut self, items: &[T], rule: impl Fn(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            self.put(if index == 0 { "" } else { ", " });
            rule(self, item);
        }
    }

    fn names(&mut self, path: &[String]) {
        for (index, name) in path.iter().enumerate() {
            if name.is_empty() {
                // No back-ticks hold nothing; only a bracket can.
                self.put("['']");
            } else {
                self.put(if index == 0 { "" } else { "." });
                self.name(name);
            }
        }
    }

    fn name(&mut self, name: &str) {
        if is_plain(name) && !is_reserved(name) {
            return self.put(name);
        }
        self.put("`");
        self.put(&name.replace('`', "``"));
        self.put("`");
    }

    /// Prints an expression, in parentheses if it binds less tightly than its place asks for.
    fn expression(&mut self, expr: &Expr, least: u8) {
        let parentheses = level_of(expr) < least;
        self.put(if parentheses { "(" } else { "" });
        match expr {
            Expr::Aggregate { function, distinct, argument, .. } => {
                self.put(function.name());
                self.put(if *distinct { "(DISTINCT " } else { "(" });
                match argument {
                    Some(argument) => self.expression(argument, level::OR),
                    None => self.put("*"),
                }
                self.put(")");
            }
            Expr::Array(items) => self.items("[", items, "]"),
            Expr::Between(operands, negation) => {
                self.operand_and(&operands[0], level::COMPARISON, *negation, "BETWEEN ");
                self.expression(&operands[1], level::CONCAT);
                self.clause_at(" AND ", &operands[2], level::CONCAT);
            }
            Expr::Case { subject, branches, otherwise } => {
                self.case(subject.as_deref(), branches, otherwise.as_deref())
            }
            Expr::Chain(first, rest) => {
                let at = level_of(expr);
                self.expression(first, at + 1);
                for (operator, operand) in rest {
                    self.put(" ");
                    self.put(operator.text());
                    self.clause_at(" ", operand, at + 1);
                }
            }
            Expr::Exists(query, _) => {
                self.put("EXISTS (");
                self.query(query);
                self.put(")");
            }
            Expr::Function(Function::Cast, arguments) => self.cast(arguments),
            Expr::Function(function, arguments) => {
                self.put(function.name());
                self.items("(", arguments, ")");
            }
            Expr::In(operands, negation) => {
                self.operand_and(&operands[0], level::COMPARISON, *negation, "IN ");
                let start = self.text.len();
                self.expression(&operands[1], level::CONCAT);
                // A parenthesis behind IN begins a list; a plus in front of it means nothing else.
                if self.text[start..].starts_with('(') && !matches!(operands[1], Expr::Query(..)) {
                    self.text.insert(start, '+');
                }
            }
            Expr::Is(operand, absence, negation) => {
                self.expression(operand, level::LIKE);
                self.put(if *negation == Negation::Negated { " IS NOT " } else { " IS " });
                self.put(if *absence == Absence::Null { "NULL" } else { "MISSING" });
            }
            Expr::Iteration(iteration) => self.iteration(iteration),
            Expr::Like { operands, escape, case, negation } => {
                let word = if *case == Case::Sensitive { "LIKE " } else { "ILIKE " };
                self.operand_and(&operands[0], level::COMPARISON, *negation, word);
                self.expression(&operands[1], level::COMPARISON);
                if let Some(escape) = escape {
                    self.put(" ESCAPE ");
                    self.string(escape.encode_utf8(&mut [0; 4]));
                }
            }
            Expr::Literal(value) => self.literal(value),
            Expr::Missing => self.put("MISSING"),
            Expr::Name(name, _) => self.name(name),
            Expr::Negate(operand) => self.clause_at("-", operand, level::PRIMARY),
            Expr::Not(operand) => self.clause_at("NOT ", operand, level::NOT),
            Expr::Object(fields) => self.object(fields),
            Expr::Parameter(name, _) => {
                self.put(":");
                self.put(name);
            }
            Expr::Path(base, steps) => self.path(base, steps),
            Expr::Query(query, _) => {
                self.put("(");
                self.query(query);
                self.put(")");
            }
            Expr::Similar(operands, negation) => {
                self.operand_and(&operands[0], level::COMPARISON, *negation, "SIMILAR TO ");
                self.expression(&operands[1], level::COMPARISON);
            }
            Expr::Window(window) => self.window(window),
        }
        self.put(if parentheses { ")" } else { "" });
    }

    fn clause_at(&mut self, words: &str, expr: &Expr, least: u8) {
        self.put(words);
        self.expression(expr, least);
    }

    /// Prints the left operand of BETWEEN, IN or LIKE and the operator. A comparison may stand left of IN bare, no other may.
    fn operand_and(&mut self, operand: &Expr, least: u8, negation: Negation, word: &str) {
        let bare = matches!(operand, Expr::Chain(..))
            || level_of(operand) > level::COMPARISON
            || !["BETWEEN ", "IN "].contains(&word);
        self.expression(operand, if bare { least } else { level::CONCAT });
        self.put(if negation == Negation::Negated { " NOT " } else { " " });
        self.put(word);
    }

    fn items(&mut self, open: &str, items: &[Expr], close: &str) {
        self.put(open);
        self.list(items, |printer, item| printer.expression(item, level::OR));
        self.put(close);
    }

    fn case(&mut self, subject: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) {
        self.put("CASE");
        self.clause(" ", subject);
        for (when, then) in branches {
            self.clause(" WHEN ", Some(when));
            self.clause(" THEN ", Some(then));
        }
        self.clause(" ELSE ", otherwise);
        self.put(" END");
    }

    fn object(&mut self, fields: &[(String, Expr)]) {
        self.put("{");
        self.list(fields, |printer, (name, expr)| {
            printer.string(name);
            printer.put(": ");
            printer.expression(expr, level::OR);
        });
        self.put("}");
    }

    fn path(&mut self, base: &Expr, steps: &[Step]) {
        let needs_none = matches!(
            base,
            Expr::Array(_)
                | Expr::Function(..)
                | Expr::Name(..)
                | Expr::Object(_)
                | Expr::Parameter(..)
                | Expr::Query(..)
        );
        self.put(if needs_none { "" } else { "(" });
        self.expression(base, level::OR);
        self.put(if needs_none { "" } else { ")" });
        for step in steps {
            match step {
                Step::Index(index) => self.items("[", std::slice::from_ref(index), "]"),
                Step::Name(name) => {
                    self.put(".");
                    self.name(name);
                }
            }
        }
    }

    fn literal(&mut self, value: &Value) {
        match value {
            Value::Bool(truth) => self.put(if *truth { "true" } else { "false" }),
            Value::Float(float) => self.float(*float),
            Value::Int(int) => self.put(&int.to_string()),
            Value::Str(text) => self.string(text),
            Value::Null => self.put("null"),
            // The parser makes no literal of these.
            Value::Array(_) | Value::Bytes(_) | Value::Object(_) => {}
        }
    }

    /// Prints a float so that it reads back as the same float.
    fn float(&mut self, float: f64) {
        let plain = float.to_string();
        self.put(&plain);
        self.put(if plain.contains('.') { "" } else { ".0" });
    }

    fn string(&mut self, text: &str) {
        self.put("'");
        for character in text.chars() {
            match character {
                '\'' => self.put("\\'"),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                '\r' => self.put("\\r"),
                '\t' => self.put("\\t"),
                control if u32::from(control) < 0x20 => {
                    self.put("\\u00");
                    self.text.push(if u32::from(control) < 0x10 { '0' } else { '1' });
                    self.text.extend(char::from_digit(u32::from(control) & 0xf, 16));
                }
                character => self.text.push(character),
            }
        }
        self.put("'");
    }
}

/// Says whether a name can stand without back-ticks, keywords aside.
fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && characters.all(|c| c == '_' || c == '$' || c.is_alphanumeric())
        && !["ANY", "ARRAY", "EVERY", "OBJECT", "COLLECTION"].iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn level_of(expr: &Expr) -> u8 {
    match expr {
        Expr::Between(..) | Expr::In(..) => level::COMPARISON,
        Expr::Chain(_, rest) => rest.first().map_or(level::PRIMARY, |(operator, _)| operator.level()),
        Expr::Is(..) => level::IS,
        Expr::Like { .. } | Expr::Similar(..) => level::LIKE,
        Expr::Literal(Value::Int(int)) if *int < 0 => level::UNARY,
        Expr::Literal(Value::Float(float)) if float.is_sign_negative() => level::UNARY,
        Expr::Negate(_) => level::UNARY,
        Expr::Not(_) => level::NOT,
        Expr::Aggregate { .. }
        | Expr::Array(_)
        | Expr::Case { .. }
        | Expr::Exists(..)
        | Expr::Function(..)
        | Expr::Iteration(_)
        | Expr::Literal(_)
        | Expr::Missing
        | Expr::Name(..)
        | Expr::Object(_)
        | Expr::Parameter(..)
        | Expr::Path(..)
        | Expr::Query(..)
        | Expr::Window(_) => level::PRIMARY,
    }
}
