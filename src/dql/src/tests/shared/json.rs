//! A reader of JSON for tests. It panics on what is not JSON.

use value::{Object, Value};

/// Reads one value that fills the text.
pub fn read(text: &str) -> Value {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value();
    reader.blanks();
    assert_eq!(reader.at, text.len(), "text after the value: {text}");
    value
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.text[self.at..].starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn value(&mut self) -> Value {
        for (token, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.eat(token) {
                return value;
            }
        }
        if self.eat("[") {
            let mut items = Vec::new();
            while !self.eat("]") {
                assert!(items.is_empty() || self.eat(","), "a comma in {}", self.text);
                items.push(self.value());
            }
            return Value::Array(items);
        }
        if self.eat("{") {
            let mut fields = Object::new();
            while !self.eat("}") {
                assert!(fields.is_empty() || self.eat(","), "a comma in {}", self.text);
                let Value::Str(name) = self.value() else { panic!("a name in {}", self.text) };
                assert!(self.eat(":"), "a colon in {}", self.text);
                let value = self.value();
                fields.insert(name, value);
            }
            return Value::Object(fields);
        }
        if self.eat("\"") { self.string() } else { self.number() }
    }

    fn string(&mut self) -> Value {
        let mut text = String::new();
        let mut characters = self.text[self.at..].chars();
        loop {
            match characters.next().expect("a closing quote") {
                '"' => break,
                '\\' => match characters.next().expect("an escape") {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'u' => {
                        let digits: String = characters.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).expect("digits");
                        text.push(char::from_u32(code).expect("a character"));
                    }
                    same => text.push(same),
                },
                character => text.push(character),
            }
        }
        self.at = self.text.len() - characters.as_str().len();
        Value::Str(text)
    }

    fn number(&mut self) -> Value {
        self.blanks();
        let rest = &self.text[self.at..];
        let number = &rest[..rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(rest.len())];
        self.at += number.len();
        number.parse().map(Value::Int).unwrap_or_else(|_| Value::Float(number.parse().expect("a number")))
    }
}
