//! What the linker of Go writes into a program (`debug/buildinfo`): the release it was
//! built with, and its modules.

use std::borrow::Cow;

use object::{File, Object as _, ObjectSegment as _};

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope, bounded, purl};

use super::{super::Unread, at_address, section};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The header starts at a multiple of this.
const ALIGN: usize = 16;
const HEADER_BYTES: usize = 32;
/// How far into the data of a program without named sections the header is looked for.
const SEARCHED_BYTES: usize = 1024 * 1024;
/// Most bytes of the list of modules.
const MAX_TEXT_BYTES: u64 = 16 * 1024 * 1024;

/// What a program says of itself.
pub(super) struct Info<'a> {
    release: Cow<'a, str>,
    modules: Cow<'a, str>,
}

/// Finds what a program says of itself; `None` when it is not of Go.
pub(super) fn info<'a>(file: &File<'a>) -> Result<Option<Info<'a>>, Unread> {
    let named = section(file, &[".go.buildinfo", "__go_buildinfo"]);
    // PE has no section for it: it stands near the start of the data.
    let found = match named {
        Some(section) => header(section),
        None => file
            .segments()
            .filter_map(|segment| segment.data().ok())
            .find_map(|data| header(data.get(..SEARCHED_BYTES).unwrap_or(data))),
    };
    let Some(header) = found else {
        return Ok(None);
    };
    let flags = header.get(15).copied().unwrap_or_default();
    let (release, modules) = if flags & 2 == 0 {
        pointed(file, header, flags & 1 != 0)?
    } else {
        inline(header)?
    };
    Ok(Some(Info {
        release: String::from_utf8_lossy(release),
        modules: String::from_utf8_lossy(framed(modules)),
    }))
}

/// Returns the header and all that follows it.
fn header(data: &[u8]) -> Option<&[u8]> {
    let at = (0..data.len())
        .step_by(ALIGN)
        .find(|at| data[*at..].starts_with(MAGIC))?;
    data.get(at..)
}

/// Reads the form since Go 1.18: two texts follow the header, each after its length.
fn inline(header: &[u8]) -> Result<(&[u8], &[u8]), Unread> {
    let rest = header.get(HEADER_BYTES..).ok_or_else(cut)?;
    let (release, rest) = text(rest)?;
    let (modules, _) = text(rest)?;
    Ok((release, modules))
}

fn text(bytes: &[u8]) -> Result<(&[u8], &[u8]), Unread> {
    let (mut length, mut shift) = (0_u64, 0);
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            let length = usize::try_from(length).map_err(|_| cut())?;
            let rest = &bytes[at + 1..];
            return rest.split_at_checked(length).ok_or_else(cut);
        }
    }
    Err(cut())
}

/// Reads the form before Go 1.18: two addresses of strings, which are address and length.
fn pointed<'a>(file: &File<'a>, header: &[u8], big: bool) -> Result<(&'a [u8], &'a [u8]), Unread> {
    let bytes = usize::from(header.get(14).copied().unwrap_or_default());
    if bytes != 4 && bytes != 8 {
        return Err(cut());
    }
    let number = |from: &[u8], at: usize| {
        let raw = from.get(at..at + bytes)?;
        let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        Some(if big {
            raw.iter().fold(0, fold)
        } else {
            raw.iter().rev().fold(0, fold)
        })
    };
    let string = |at: usize| {
        let place = at_address(file, number(header, at)?)?;
        let (start, length) = (number(place, 0)?, number(place, bytes)?);
        if length == 0 {
            return Some(&[][..]);
        }
        let length = usize::try_from(length).ok()?;
        at_address(file, start)?.get(..length)
    };
    let release = string(16).ok_or_else(cut)?;
    Ok((release, string(16 + bytes).ok_or_else(cut)?))
}

/// Takes the marks of 16 bytes away that stand around the list of modules.
fn framed(modules: &[u8]) -> &[u8] {
    let end = modules.len().saturating_sub(16);
    match modules.get(16..end) {
        Some(inner) if modules.get(end - 1) == Some(&b'\n') => inner,
        _ => &[],
    }
}

fn cut() -> Unread {
    Unread("what the program says of its modules is damaged".to_owned())
}

/// Adds what the program says to an inventory.
pub(super) fn read(info: &Info<'_>, place: &str, into: &mut Inventory) {
    let mut modules: Vec<Module<'_>> = Vec::new();
    if info.modules.len() as u64 > MAX_TEXT_BYTES {
        into.gap(
            place,
            format!("its list of modules is longer than {MAX_TEXT_BYTES} bytes"),
        );
    } else {
        for line in info.modules.lines() {
            let mut words = line.split('\t');
            let kind = words.next().unwrap_or_default();
            let (name, version) = (words.next().unwrap_or_default(), words.next());
            let module = Module {
                name,
                version,
                main: kind == "mod",
            };
            match kind {
                "mod" | "dep" if !name.is_empty() => modules.push(module),
                // Another module, or a folder, in the place of the one before.
                "=>" => {
                    if let Some(last) = modules.last_mut() {
                        *last = Module {
                            main: last.main,
                            ..module
                        };
                    }
                }
                _ => {}
            }
        }
        if modules.is_empty() {
            into.gap(place, "it does not say which modules it was built of");
        }
    }
    for module in modules {
        module.add(place, into);
    }
    // A release may be followed by experiments; one of nobody has a hash.
    let release = info.release.split_whitespace().next().unwrap_or_default();
    let release = release.strip_prefix("go");
    into.add(Component::new(Ecosystem::Go, "stdlib", release, place).scoped(Scope::Transitive));
}

struct Module<'a> {
    name: &'a str,
    version: Option<&'a str>,
    main: bool,
}

impl Module<'_> {
    fn add(&self, place: &str, into: &mut Inventory) {
        let version = self.version.filter(|version| !version.is_empty());
        let released = version.filter(|version| *version != "(devel)");
        if self.main {
            into.own.push(bounded(self.name));
            let product = || purl(&Ecosystem::Go, self.name, released);
            into.product.get_or_insert_with(product);
            // A program that others publish is a component like its modules.
            if released.is_none() {
                return;
            }
        }
        let local = self.name.starts_with(['.', '/']) || version.is_none();
        let origin = if local {
            Origin::Local
        } else {
            Origin::Registry
        };
        let component = Component::new(Ecosystem::Go, self.name, released, place);
        let scope = if self.main {
            Scope::Direct
        } else {
            Scope::Unstated
        };
        into.add(component.scoped(scope).from_origin(origin));
    }
}
