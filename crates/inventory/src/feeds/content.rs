//! Files as streams of records, whatever they are packed in.

use std::io::{self, BufRead, BufReader, Read};

use super::{MAX_RECORD_BYTES, MAX_UNPACKED_BYTES};

/// First bytes of what files are packed in.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// An archive of files, one record each.
pub(super) const ZIP: [u8; 4] = *b"PK\x03\x04";

/// Unpacks a file while it is read, up to the limit.
pub(super) fn unpack<'a>(bytes: &'a [u8]) -> io::Result<Box<dyn BufRead + 'a>> {
    if bytes.starts_with(&ZSTD) {
        // The window is bounded too: it is allocated before a byte comes out.
        let mut decoder = zstd::Decoder::with_buffer(bytes)?;
        decoder.window_log_max(27)?;
        Ok(Box::new(BufReader::with_capacity(
            1 << 17,
            decoder.take(MAX_UNPACKED_BYTES),
        )))
    } else if bytes.starts_with(&GZIP) {
        let decoder = flate2::bufread::MultiGzDecoder::new(bytes);
        Ok(Box::new(BufReader::with_capacity(
            1 << 17,
            decoder.take(MAX_UNPACKED_BYTES),
        )))
    } else {
        Ok(Box::new(bytes))
    }
}

/// Calls `take` with every line, without its end; a line that is too long counts as
/// one that `take` refused.
pub(super) fn lines(
    mut from: impl BufRead,
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<(u64, u64)> {
    let (mut taken, mut refused) = (0, 0);
    let mut line = Vec::new();
    let limit = MAX_RECORD_BYTES as u64 + 1;
    loop {
        line.clear();
        let read = (&mut from).take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok((taken, refused));
        }
        if read > MAX_RECORD_BYTES {
            refused += 1;
            skip_line(&mut from)?;
            continue;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        if take(text) {
            taken += 1;
        } else {
            refused += 1;
        }
    }
}

fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Reads a whole document, up to `limit` bytes; `None` when there is more.
pub(super) fn whole(from: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}
