//! Reads XML into a small tree, within limits.
//!
//! # Invariants
//!
//! * Depth, number of elements, length of a tag and of the whole are bounded before
//!   anything is kept.
//! * There is no document type and no entity besides the five that XML has itself:
//!   nothing expands, and nothing is looked up.

use quick_xml::{
    NsReader, XmlVersion,
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
};

/// Largest document. A complete set of 500 room types and 730 days, each night on
/// its own line, has 60 MB and is sent in parts; one of periods has 100 KB.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// Deepest nesting. Rate plans, the deepest of the messages, need 10.
const MAX_DEPTH: usize = 24;
const MAX_ELEMENTS: usize = 400_000;
/// Longest tag with its attributes. It bounds the search for duplicates, too.
const MAX_TAG_BYTES: usize = 8 << 10;
const OTA: &str = "http://www.opentravel.org/OTA/2003/05";

/// Why a text is not a document that is read here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the document is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the document is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("the document has more than {MAX_ELEMENTS} elements")]
    TooMany,
    #[error("a tag is longer than {MAX_TAG_BYTES} bytes")]
    LongTag,
    #[error("the document is not UTF-8")]
    Encoding,
    #[error("document types and entities are not read")]
    Entity,
    #[error("an element is outside of the namespace {OTA}")]
    Namespace,
    #[error("the document is not well-formed")]
    Malformed(#[from] quick_xml::Error),
    #[error("the document ends before its elements do, or has no element or several")]
    Unfinished,
}

impl From<quick_xml::events::attributes::AttrError> for Error {
    fn from(error: quick_xml::events::attributes::AttrError) -> Self {
        Self::Malformed(error.into())
    }
}

/// One element with what is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Element {
    name: Box<str>,
    attributes: Vec<(Box<str>, Box<str>)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name, cut to a printable length.
    pub(crate) fn shown(&self) -> String {
        shown(&self.name)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| &**key == name);
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(key, _)| &**key)
    }

    pub(crate) fn children(&self) -> &[Element] {
        &self.children
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> + 'a {
        self.children.iter().filter(move |e| &*e.name == name)
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|e| &*e.name == name)
    }

    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// Whether it has neither attributes nor content.
    pub(crate) fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.children.is_empty() && self.text().is_empty()
    }
}

/// Returns `text` without control characters, cut to a printable length.
pub(crate) fn shown(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(40).collect()
}

/// Reads one document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Element, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Encoding)?;
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut tree = Tree::default();
    loop {
        let (namespace, event) = reader.read_resolved_event()?;
        let known = matches!(namespace, ResolveResult::Bound(Namespace(OTA)));
        match event {
            Event::Start(start) => tree.open(element(&start, known)?)?,
            Event::Empty(start) => {
                tree.open(element(&start, known)?)?;
                tree.close()?;
            }
            Event::End(_) => tree.close()?,
            Event::Text(text) => tree.text(&text.xml10_content()),
            Event::CData(data) => tree.text(&data.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => tree.text(character.encode_utf8(&mut [0; 4])),
                None => tree.text(named(&reference.xml10_content())?),
            },
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose()?;
                if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                    return Err(Error::Encoding);
                }
            }
            Event::DocType(_) => return Err(Error::Entity),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return tree.finish(),
        }
    }
}

/// Returns the character of one of the five names that XML knows itself.
fn named(name: &str) -> Result<&'static str, Error> {
    quick_xml::escape::resolve_xml_entity(name).ok_or(Error::Entity)
}

fn element(start: &BytesStart<'_>, known: bool) -> Result<Element, Error> {
    if start.len() > MAX_TAG_BYTES {
        return Err(Error::LongTag);
    }
    if !known {
        return Err(Error::Namespace);
    }
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        // Declarations and hints where a schema lies say nothing about hotels.
        if attribute.key.as_namespace_binding().is_some() || attribute.key.prefix().is_some() {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
        attributes.push((attribute.key.as_ref().into(), value.into()));
    }
    Ok(Element {
        name: start.local_name().as_ref().into(),
        attributes,
        ..Element::default()
    })
}

/// The elements that are open, outermost first.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn open(&mut self, element: Element) -> Result<(), Error> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(Error::TooMany);
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let element = self.open.pop().ok_or(Error::Unfinished)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None if self.root.is_none() => self.root = Some(element),
            None => return Err(Error::Unfinished),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn finish(self) -> Result<Element, Error> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            Some(_) | None => Err(Error::Unfinished),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let text = format!("<A xmlns=\"{OTA}\">{body}</A>");
        let found = match parse(text.as_bytes()) {
            Ok(root) => format!("{}: {}", root.children().len(), root.text()),
            Err(error) => format!("{error:?}"),
        };
        assert!(
            found.starts_with(expected),
            "{body:.80}: {found:.200}, not {expected}"
        );
    }

    #[test]
    fn text_children_and_the_five_entities_are_read() {
        check(
            "<B/><C a='1'>x</C> caf\u{e9} &amp; &#65;&lt;",
            "2: caf\u{e9} & A<",
        );
        check("<![CDATA[<x>]]>", "0: <x>");
    }

    #[test]
    fn what_expands_or_exhausts_is_refused() {
        check("&unknown;", "Entity");
        check("<B a='&unknown;'/>", "Malformed");
        check("<B a='1' a='2'/>", "Malformed");
        check("<B>", "Malformed");
        check("<B xmlns='urn:other'/>", "Namespace");
        check(&"<B>".repeat(MAX_DEPTH), "TooDeep");
        check(&"<B/>".repeat(MAX_ELEMENTS), "TooMany");
        check(
            &format!("<B a='{}'/>", "x".repeat(MAX_TAG_BYTES)),
            "LongTag",
        );
    }

    #[test]
    fn document_types_other_encodings_and_loose_ends_are_refused() {
        let check = |text: &[u8], expected: &str| {
            let found = format!("{:?}", parse(text).map(|root| root.name));
            assert!(found.contains(expected), "{found}, not {expected}");
        };
        check(
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a xmlns='http://www.opentravel.org/OTA/2003/05'/>",
            "Entity",
        );
        check(b"<?xml version='1.0' encoding='latin1'?><a/>", "Encoding");
        check(b"\xff", "Encoding");
        check(b"", "Unfinished");
        check(b"<a/>", "Namespace");
        check(
            b"<a xmlns='http://www.opentravel.org/OTA/2003/05'/><b xmlns='http://www.opentravel.org/OTA/2003/05'/>",
            "Unfinished",
        );
        check(&vec![b' '; MAX_BYTES + 1], "TooLarge");
        check(
            "\u{feff}<o:a xmlns:o='http://www.opentravel.org/OTA/2003/05'/>".as_bytes(),
            "Ok(\"a\")",
        );
    }
}
