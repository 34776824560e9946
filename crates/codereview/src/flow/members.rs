//! What names, members and types stand for.

use std::sync::Arc;

use super::{
    entrance, entry,
    evaluate::Frame,
    ir::Name,
    known,
    value::{Standing, Value},
};
use crate::source::Language;

impl Frame<'_> {
    /// Returns the value that a declared type promises.
    pub(super) fn typed(&self, kind: Option<&Name>) -> Value {
        let Some(kind) = kind else {
            return Value::default();
        };
        if entry::is_clean_kind(Some(kind)) {
            return Value::clean();
        }
        let bare = entry::bare_kind(kind);
        if bare.is_empty() {
            return Value::default();
        }
        let full = self.full(bare);
        match entry::is_choice(&full) {
            true => Value::clean(),
            false => Value::at(Arc::from(format!("{full}()"))),
        }
    }

    /// Returns whether values of a declared type are of a few that the program lists, or
    /// cannot carry text.
    pub(super) fn is_bounded_kind(&self, kind: Option<&Name>) -> bool {
        entry::is_clean_kind(kind.map(|kind| &**kind))
            || kind.is_some_and(|kind| {
                let bare = entry::bare_kind(entry::item_kind(kind));
                !bare.is_empty() && entry::is_choice(&self.full(bare))
            })
    }

    /// Returns what the written type `bare` stands for.
    fn full(&self, bare: &str) -> String {
        let here = self.names.get(bare).and_then(|value| value.path.as_deref());
        here.map_or_else(|| self.program.full(self.unit, bare), str::to_owned)
    }

    pub(super) fn name(&mut self, name: &Name) -> Value {
        if let Some(value) = self.names.get(name) {
            return value.clone();
        }
        // Java names members of its class alone.
        if self.program.language(self.unit) == Language::Java
            && let Some(value) = self.names.get(&*format!("self.{name}"))
        {
            return value.clone();
        }
        if self.program.language(self.unit) == Language::Java
            && let Some(value) = self
                .program
                .member(self.unit, self.class.as_ref(), "self", name)
        {
            return value;
        }
        self.program.name(self.unit, name)
    }

    pub(super) fn member(&mut self, object: &Value, name: &Name) -> Value {
        if let Some(value) = object.field(name) {
            return value.clone();
        }
        if let Some("self") = object.path.as_deref() {
            let key: Name = Arc::from(format!("self.{name}"));
            if let Some(value) = self.names.get(&key) {
                return value.clone();
            }
        }
        let mut value = Value {
            taints: object.taints.clone(),
            standing: match object.standing {
                Standing::Unknown => Standing::Unknown,
                _ => Standing::Clean,
            },
            ..Value::default()
        };
        if matches!(&**name, "length" | "size" | "count") && !object.taints.is_empty() {
            return Value::clean();
        }
        if self.is_from_answers(object) && known::says_nothing(name) {
            return Value::clean();
        }
        if let Some(path) = &object.path {
            let found = self
                .program
                .member(self.unit, self.class.as_ref(), path, name);
            if let Some(mut found) = found {
                let is_clean = found.path.is_none() && found.standing == Standing::Clean;
                if !is_clean {
                    object.taints.iter().for_each(|taint| found.add(taint));
                }
                return found;
            }
            if &**path == entrance::OBJECT && &**name == "shape" {
                return object.clone();
            }
            if &**path == "pathlib.Path()" && matches!(&**name, "name" | "stem" | "suffix") {
                let bit = self.program.rules.class_bit("path-traversal");
                return value.cleaned(bit);
            }
            if &**path == "enum" {
                return Value::clean();
            }
            if &**path == "pathlib.Path()" && &**name == "parent" {
                return Value {
                    fields: None,
                    items: None,
                    text: None,
                    ..object.clone()
                };
            }
            if matches!(&**path, "process.env" | "os.environ") {
                // Who starts a program chooses its environment.
                return Value::clean();
            }
            let path: Name = Arc::from(format!("{path}.{name}"));
            if entry::is_source(&path) {
                let what = format!("`{path}` is chosen outside");
                value.taints = vec![self.outside(0, &what)];
            }
            value.path = Some(path);
        } else if !object.taints.is_empty() {
            value.path = Some(Arc::from(format!("?.{name}")));
        }
        value
    }

    pub(super) fn element(&mut self, object: &Value, index: &Value) -> Value {
        if let Some(text) = &index.text {
            if let Some(value) = object.field(text) {
                return value.clone();
            }
            if let Some(items) = &object.items
                && let Some(value) = text.parse::<usize>().ok().and_then(|at| items.get(at))
            {
                return value.clone();
            }
        }
        if matches!(object.path.as_deref(), Some("process.env" | "os.environ")) {
            return Value::clean();
        }
        // One of a table of functions.
        if let Some(fields) = &object.fields
            && index.text.is_none()
            && fields.iter().any(|(_, field)| field.function.is_some())
        {
            let functions = fields.iter().map(|(_, field)| field.clone()).collect();
            return Value::clean().holding(None, Some(functions));
        }
        match &object.items {
            Some(items) => match items.as_slice() {
                // All items are like this one.
                [item] if item.fields.is_some() => item.clone(),
                items => Value::mix(items),
            },
            None => Value {
                taints: object.taints.clone(),
                standing: match object.standing {
                    Standing::Constant => Standing::Clean,
                    standing => standing,
                },
                path: object
                    .path
                    .as_ref()
                    .map(|path| Arc::from(format!("{path}[]"))),
                ..Value::default()
            },
        }
    }
}
