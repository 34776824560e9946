//! `pom.xml` and `gradle.lockfile`.

use std::collections::HashMap;

use quick_xml::{Reader, events::Event};

use crate::component::{Component, Ecosystem, Inventory, Scope, bounded};

use super::Unread;

/// Deepest nesting of elements.
const MAX_ELEMENTS: usize = 64;
/// Most properties that stand for others.
const MAX_STEPS: usize = 8;

#[derive(Default, Clone)]
struct Dependency {
    group: String,
    artifact: String,
    version: String,
    scope: String,
}

/// Reads a build description of Maven. It names what is direct; what that brings along
/// is known to Maven alone.
pub(super) fn pom(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let found = elements(text)?;
    let property = |name: &str| {
        let name = name.strip_prefix("project.").unwrap_or(name);
        let own = match name {
            "version" | "groupId" | "artifactId" => {
                found.project.get(name).or_else(|| found.parent.get(name))
            }
            "parent.version" => found.parent.get("version"),
            _ => None,
        };
        own.or_else(|| found.properties.get(name)).cloned()
    };
    let managed: HashMap<(String, String), String> = found
        .managed
        .iter()
        .map(|d| {
            let key = (expand(&d.group, &property), expand(&d.artifact, &property));
            (key, expand(&d.version, &property))
        })
        .collect();
    let group = property("project.groupId").unwrap_or_default();
    let artifact = property("project.artifactId").unwrap_or_default();
    into.own.push(bounded(&format!("{group}:{artifact}")));
    for dependency in &found.dependencies {
        let group = expand(&dependency.group, &property);
        let artifact = expand(&dependency.artifact, &property);
        let mut version = expand(&dependency.version, &property);
        if version.is_empty() {
            let key = (group.clone(), artifact.clone());
            version = managed.get(&key).cloned().unwrap_or_default();
        }
        let exact = !version.is_empty() && !version.contains(['$', '[', '(', ',']);
        let scope = if dependency.scope == "test" {
            Scope::Development
        } else {
            Scope::Direct
        };
        let name = format!("{group}:{artifact}");
        let version = Some(version.as_str()).filter(|_| exact);
        into.add(Component::new(Ecosystem::Maven, &name, version, place).scoped(scope));
    }
    into.gap(
        place,
        "a pom names direct dependencies only; what they bring along was not assessed",
    );
    Ok(())
}

/// Replaces `${name}`, up to a number of steps: properties may name each other.
fn expand(text: &str, property: &impl Fn(&str) -> Option<String>) -> String {
    let mut text = text.to_owned();
    for _ in 0..MAX_STEPS {
        let Some(start) = text.find("${") else {
            break;
        };
        let Some(end) = text[start..].find('}') else {
            break;
        };
        let Some(value) = property(&text[start + 2..start + end]) else {
            break;
        };
        text.replace_range(start..=start + end, &value);
        text = bounded(&text);
    }
    text
}

#[derive(Default)]
struct Elements {
    project: HashMap<String, String>,
    parent: HashMap<String, String>,
    properties: HashMap<String, String>,
    dependencies: Vec<Dependency>,
    managed: Vec<Dependency>,
}

fn elements(text: &str) -> Result<Elements, Unread> {
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut found = Elements::default();
    let mut now = Dependency::default();
    let mut value = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                if path.len() >= MAX_ELEMENTS {
                    return Err(Unread(format!(
                        "it nests deeper than {MAX_ELEMENTS} elements"
                    )));
                }
                let name = start.local_name();
                path.push(name.as_ref().to_owned());
                value.clear();
                if path.last().is_some_and(|name| name == "dependency") {
                    now = Dependency::default();
                }
            }
            Event::Text(part) => value.push_str(&part.xml10_content()),
            Event::CData(part) => value.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                let known = quick_xml::escape::resolve_xml_entity(&name);
                let c = reference.resolve_char_ref()?.map(String::from);
                match c.or(known.map(str::to_owned)) {
                    Some(text) => value.push_str(&text),
                    None => return Err(Unread("it names an entity of its own".to_owned())),
                }
            }
            Event::End(_) => {
                end(&path, value.trim(), &mut now, &mut found);
                path.pop();
                value.clear();
            }
            // Entities are declared there; none of a build description's business.
            Event::DocType(_) => return Err(Unread("it has a document type".to_owned())),
            Event::Eof if path.is_empty() => return Ok(found),
            Event::Eof => return Err(Unread("it ends in the middle".to_owned())),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn end(path: &[String], value: &str, now: &mut Dependency, found: &mut Elements) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["project", name] => {
            found.project.insert((*name).to_owned(), value.to_owned());
        }
        ["project", "parent", name] => {
            found.parent.insert((*name).to_owned(), value.to_owned());
        }
        ["project", "properties", name] => {
            found
                .properties
                .insert((*name).to_owned(), value.to_owned());
        }
        ["project", "dependencies", "dependency", field]
        | [
            "project",
            "dependencyManagement",
            "dependencies",
            "dependency",
            field,
        ] => {
            let into = match *field {
                "groupId" => &mut now.group,
                "artifactId" => &mut now.artifact,
                "version" => &mut now.version,
                "scope" => &mut now.scope,
                _ => return,
            };
            value.clone_into(into);
        }
        ["project", "dependencies", "dependency"] => found.dependencies.push(now.clone()),
        [
            "project",
            "dependencyManagement",
            "dependencies",
            "dependency",
        ] => {
            found.managed.push(now.clone());
        }
        _ => {}
    }
}

pub(super) fn gradle(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("empty=") {
            continue;
        }
        let (coordinates, configurations) = line.split_once('=').unwrap_or((line, ""));
        let mut parts = coordinates.split(':');
        let (Some(group), Some(artifact), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            into.gap(
                &format!("{place}:{}", number + 1),
                "the line is no artifact",
            );
            continue;
        };
        let test = !configurations.is_empty()
            && configurations
                .split(',')
                .all(|c| c.to_lowercase().contains("test"));
        let scope = if test {
            Scope::Development
        } else {
            Scope::Unstated
        };
        let name = format!("{group}:{artifact}");
        into.add(Component::new(Ecosystem::Maven, &name, Some(version), place).scoped(scope));
    }
    Ok(())
}
