//! XML fragments as text: the form that SELECT shows and SET and SPLICE take.
//!
//! Written are elements, attributes and text: `<p class="a">one &amp; two</p>`. Attributes come in the order of their names;
//! `&`, `<`, `>` and in attributes `"` are escaped; an element without content is `<br></br>`. A mark of an editor (a format
//! of a Y.XmlText) shows as an element around its text, as Yjs prints it; what is read back are elements.
//!
//! Read are the same, `<br/>`, attributes in either quotes, and the entities `&amp; &lt; &gt; &quot; &apos; &#…;`. Not read are
//! comments, processing instructions, CDATA and document types: they would be lost.

use value::limits::DEPTH_MAX;
use value::{Object, Value};
use yrs::block::{ItemContent, Prelim};
use yrs::branch::{Branch, BranchPtr};
use yrs::types::TypeRef;
use yrs::types::text::YChange;
use yrs::types::xml::XmlPrelim;
use yrs::{
    Any, Out, ReadTxn, Text, TransactionMut, Xml, XmlElementRef, XmlFragment, XmlFragmentRef, XmlOut, XmlTextRef,
};

use super::list::from_any;

/// A child of a fragment or an element.
#[derive(Debug, PartialEq)]
pub(super) enum XmlNode {
    Element { name: String, attributes: Vec<(String, String)>, children: Vec<XmlNode> },
    Text(String),
}

/// Returns an item as XML; what lies deeper than a document may nest is left out.
pub(super) fn print<T: ReadTxn>(out: &Out, txn: &T) -> String {
    let mut text = String::new();
    match out {
        Out::YXmlFragment(fragment) => fragment.children(txn).for_each(|child| write(&child, txn, &mut text, 1)),
        Out::YXmlElement(element) => write(&XmlOut::Element(element.clone()), txn, &mut text, 1),
        Out::YXmlText(own) => write(&XmlOut::Text(own.clone()), txn, &mut text, 1),
        Out::Any(_) | Out::YArray(_) | Out::YDoc(_) | Out::YMap(_) | Out::YText(_) | Out::UndefinedRef(_) => {}
    }
    text
}

fn write<T: ReadTxn>(node: &XmlOut, txn: &T, text: &mut String, depth: usize) {
    if depth >= DEPTH_MAX {
        return;
    }
    match node {
        XmlOut::Fragment(fragment) => fragment.children(txn).for_each(|child| write(&child, txn, text, depth + 1)),
        XmlOut::Element(element) => {
            let name = element.try_tag().map_or("UNDEFINED", |tag| tag);
            let mut attributes = Object::new();
            attributes.extend(element.attributes(txn).map(|(name, value)| (name.to_owned(), plain(&value))));
            open(name, &attributes, text);
            element.children(txn).for_each(|child| write(&child, txn, text, depth + 1));
            close(name, text);
        }
        XmlOut::Text(own) => {
            for chunk in own.diff(txn, YChange::identity) {
                // An object keeps its fields in order.
                let mut marks = Object::new();
                let found = chunk.attributes.iter().flat_map(|marks| marks.iter());
                marks.extend(found.map(|(name, value)| (name.to_string(), from_any(value, 1))));
                for (name, value) in &marks {
                    open(name, value.as_object().unwrap_or(&Object::new()), text);
                }
                if let Out::Any(Any::String(content)) = &chunk.insert {
                    escape(content, text);
                }
                marks.iter().rev().for_each(|(name, _)| close(name, text));
            }
        }
    }
}

fn open(name: &str, attributes: &Object, text: &mut String) {
    text.push('<');
    text.push_str(name);
    for (name, value) in attributes {
        text.push(' ');
        text.push_str(name);
        text.push_str("=\"");
        match value {
            Value::Str(value) => escape(value, text),
            // An editor may have set one that is no text.
            Value::Bool(truth) => text.push_str(&truth.to_string()),
            Value::Float(float) => text.push_str(&float.to_string()),
            Value::Int(int) => text.push_str(&int.to_string()),
            Value::Array(_) | Value::Bytes(_) | Value::Null | Value::Object(_) => {}
        }
        text.push('"');
    }
    text.push('>');
}

fn close(name: &str, text: &mut String) {
    text.push_str("</");
    text.push_str(name);
    text.push('>');
}

fn escape(content: &str, text: &mut String) {
    for character in content.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            other => text.push(other),
        }
    }
}

/// A node on its way into a document. The nodes of yrs bring the code of all that it can insert.
struct Planted<'a>(&'a XmlNode);

impl XmlPrelim for Planted<'_> {}

impl Prelim for Planted<'_> {
    type Return = XmlOut;

    fn into_content(self, _: &mut TransactionMut<'_>) -> (ItemContent, Option<Self>) {
        let kind = match self.0 {
            XmlNode::Element { name, .. } => TypeRef::XmlElement(name.as_str().into()),
            XmlNode::Text(_) => TypeRef::XmlText,
        };
        (ItemContent::Type(Branch::new(kind)), Some(self))
    }

    fn integrate(self, txn: &mut TransactionMut<'_>, own: BranchPtr) {
        match self.0 {
            XmlNode::Text(text) => XmlTextRef::from(own).insert(txn, 0, text),
            XmlNode::Element { attributes, children, .. } => {
                let element = XmlElementRef::from(own);
                for (name, value) in attributes {
                    element.insert_attribute(txn, name.as_str(), value.as_str());
                }
                for (at, child) in (0..).zip(children) {
                    element.insert(txn, at, Planted(child));
                }
            }
        }
    }
}

/// Inserts a node before the child at a place that exists, or after the last.
pub(super) fn insert(root: &XmlFragmentRef, txn: &mut TransactionMut<'_>, at: u32, node: &XmlNode) {
    root.insert(txn, at, Planted(node));
}

/// Reads a fragment. Errors: what is wrong with it, for a person.
pub(super) fn parse(text: &str) -> Result<Vec<XmlNode>, &'static str> {
    let mut parser = Parser { rest: text };
    let nodes = parser.nodes(DEPTH_MAX - 2)?;
    if parser.rest.is_empty() { Ok(nodes) } else { Err("an end tag without its start tag") }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// Reads up to an end tag or the end.
    fn nodes(&mut self, depth_left: usize) -> Result<Vec<XmlNode>, &'static str> {
        let mut nodes = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with("</") {
            if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
                return Err("a comment, instruction, CDATA or document type, which a field does not keep");
            }
            if let Some(rest) = self.rest.strip_prefix('<') {
                self.rest = rest;
                nodes.push(self.element(depth_left)?);
            } else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                nodes.push(XmlNode::Text(unescape(self.take(end))?));
            }
        }
        Ok(nodes)
    }

    /// Reads what follows `<`.
    fn element(&mut self, depth_left: usize) -> Result<XmlNode, &'static str> {
        if depth_left == 0 {
            return Err("elements nested too deep");
        }
        let name = self.name()?.to_owned();
        let attributes = self.attributes()?;
        if self.eat("/>") {
            return Ok(XmlNode::Element { name, attributes, children: Vec::new() });
        }
        if !self.eat(">") {
            return Err("a tag that does not end");
        }
        let children = self.nodes(depth_left - 1)?;
        if !self.eat("</") || self.name()? != name {
            return Err("a start tag without its end tag");
        }
        self.skip_space();
        if self.eat(">") { Ok(XmlNode::Element { name, attributes, children }) } else { Err("a tag that does not end") }
    }

    fn attributes(&mut self) -> Result<Vec<(String, String)>, &'static str> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        loop {
            self.skip_space();
            if self.rest.starts_with(['>', '/']) {
                return Ok(attributes);
            }
            let name = self.name()?;
            self.skip_space();
            if !self.eat("=") {
                return Err("an attribute without a value");
            }
            self.skip_space();
            let quote = self.rest.chars().next().filter(|quote| matches!(quote, '"' | '\''));
            let quote = quote.ok_or("the value of an attribute without quotes")?;
            self.take(1);
            let end = self.rest.find(quote).ok_or("the value of an attribute that does not end")?;
            let value = unescape(self.take(end))?;
            self.take(1);
            if attributes.iter().any(|(known, _)| known == name) {
                return Err("an attribute that occurs twice");
            }
            attributes.push((name.to_owned(), value));
        }
    }

    fn name(&mut self) -> Result<&'a str, &'static str> {
        let ends = |character: char| character.is_whitespace() || "<>/='\"&".contains(character);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        if end == 0 { Err("a name that is missing") } else { Ok(self.take(end)) }
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes bytes that end between two characters.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (entity, rest) = part.split_once(';').ok_or("& that starts no entity; write &amp;")?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => numbered(other).ok_or("an entity that is not known")?,
        });
        out.push_str(rest);
    }
    Ok(out)
}

fn numbered(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

/// Returns the value of an attribute; a shared type in one is not shown.
fn plain(value: &Out) -> Value {
    match value {
        Out::Any(any) => from_any(any, 1),
        _ => Value::Null,
    }
}
