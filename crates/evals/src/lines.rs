//! Lines of files, bounded.

use std::io::{self, BufRead, Read as _};

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 64 << 20;

/// Returns the next line without its end; none at the end of the file.
///
/// # Errors
///
/// When the file cannot be read, a line is too long or is no UTF-8.
pub(crate) fn next(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = reader
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    let is_whole = bytes.pop_if(|last| *last == b'\n').is_some();
    if !is_whole && u64::try_from(read).is_ok_and(|read| read >= MAX_LINE) {
        return Err(io::Error::other("a line is too long"));
    }
    String::from_utf8(bytes).map(Some).map_err(io::Error::other)
}
