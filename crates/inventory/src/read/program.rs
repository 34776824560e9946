//! Compiled programs that say what they were built of: those of Go, and those of Rust
//! that were built with `cargo auditable`.
//!
//! # Invariants
//!
//! * A program is data: sections are found and read, nothing is loaded or run.
//! * A program that says nothing gives nothing: most belong to a package of the
//!   distribution. One of Go whose word was taken out is a gap.

mod go;
mod rust;

use object::{File, Object as _, ObjectSection as _, ObjectSegment as _};

use crate::component::Inventory;

use super::Unread;

/// Most bytes of a program.
pub(super) const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Tells whether a file is called like a program or a library.
pub(super) fn is_library(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    matches!(end, "exe" | "dll" | "so" | "dylib" | "node")
}

/// Tells whether a file that starts so is a program: ELF, PE, Mach-O.
pub(super) fn starts(bytes: &[u8]) -> bool {
    let magic: [&[u8]; 6] = [
        b"\x7fELF",
        b"MZ",
        b"\xcf\xfa\xed\xfe",
        b"\xce\xfa\xed\xfe",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
    ];
    magic.iter().any(|magic| bytes.starts_with(magic)) || is_fat(bytes)
}

/// Several programs of Mach-O in one file; a class of Java starts with the same bytes,
/// and has a version where this has a small number.
fn is_fat(bytes: &[u8]) -> bool {
    let count = bytes.get(4..8).and_then(|b| b.try_into().ok());
    let count = count.map(u32::from_be_bytes);
    bytes.starts_with(b"\xca\xfe\xba\xbe") && count.is_some_and(|count| count < 20)
}

/// Reads what a program says of itself; `None` when it is none, or says nothing.
pub(super) fn read(bytes: &[u8], place: &str) -> Option<Inventory> {
    if !starts(bytes) {
        return None;
    }
    let mut inventory = Inventory::default();
    match parts(bytes, place, &mut inventory) {
        Ok(true) => inventory.read.push(place.to_owned()),
        Ok(false) => return None,
        Err(Unread(why)) => {
            inventory.components.clear();
            inventory.gap(place, format!("it cannot be read: {why}"));
        }
    }
    Some(inventory)
}

/// Reads each program of the file. Returns whether any of them said something.
fn parts(bytes: &[u8], place: &str, into: &mut Inventory) -> Result<bool, Unread> {
    if !is_fat(bytes) {
        return one(bytes, place, into);
    }
    let fat = object::read::macho::MachOFatFile32::parse(bytes)?;
    let mut said = false;
    for arch in fat.arches() {
        use object::read::macho::FatArch as _;
        said |= one(arch.data(bytes)?, place, into)?;
    }
    Ok(said)
}

fn one(bytes: &[u8], place: &str, into: &mut Inventory) -> Result<bool, Unread> {
    // A file that only starts like a program (a DOS stub, a core) says nothing.
    let Ok(file) = File::parse(bytes) else {
        return Ok(false);
    };
    if let Some(section) = section(&file, &[".dep-v0"]) {
        rust::read(section, place, into)?;
        return Ok(true);
    }
    if let Some(info) = go::info(&file)? {
        go::read(&info, place, into);
        return Ok(true);
    }
    if section(&file, &[".gopclntab", "__gopclntab", ".note.go.buildid"]).is_some() {
        into.gap(
            place,
            "it is a program of Go that does not say what it was built of",
        );
        return Ok(true);
    }
    Ok(false)
}

/// Returns the content of the first section with one of the names.
fn section<'a>(file: &File<'a>, names: &[&str]) -> Option<&'a [u8]> {
    let found = names.iter().find_map(|name| file.section_by_name(name))?;
    found.data().ok()
}

/// Returns what lies at an address of the running program, to the end of its segment.
fn at_address<'a>(file: &File<'a>, address: u64) -> Option<&'a [u8]> {
    file.segments().find_map(|segment| {
        let data = segment.data().ok()?;
        let offset = address.checked_sub(segment.address())?;
        data.get(usize::try_from(offset).ok()?..)
            .filter(|rest| !rest.is_empty())
    })
}

#[cfg(test)]
mod tests;
