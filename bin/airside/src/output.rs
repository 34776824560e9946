//! Results, on standard output.
//!
//! # Invariants
//!
//! * Standard output carries results and nothing else.
//! * A reader that goes away ends the command quietly.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{failure::Failure, text::printable_json};

/// Standard output, as text or as JSON.
pub(crate) struct Out {
    stream: anstream::AutoStream<io::Stdout>,
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            stream: anstream::stdout(),
            json,
        }
    }

    /// Returns whether the user asked for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.stream, "{text}")?)
    }

    /// Writes text as it is.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.stream.write_all(text.as_bytes())?)
    }

    /// Writes one JSON value on one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        self.line(&printable_json(&text))
    }

    /// Writes one JSON value over several lines.
    pub(crate) fn json_pretty(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        // Piece by piece: some values are as long as a run of an evaluation.
        let mut pieces = Pieces {
            stream: &mut self.stream,
            text: String::new(),
        };
        serde_json::to_writer_pretty(&mut pieces, value).map_err(io::Error::from)?;
        pieces.text.push('\n');
        Ok(pieces.hand_on()?)
    }

    /// Hands everything written so far to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stream.flush()?)
    }
}

/// Bytes of JSON that are handed on at once.
const PIECE: usize = 64 << 10;

/// Makes JSON safe for a terminal, piece by piece.
struct Pieces<'a> {
    stream: &'a mut anstream::AutoStream<io::Stdout>,
    text: String,
}

impl Pieces<'_> {
    fn hand_on(&mut self) -> io::Result<()> {
        self.stream.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        // JSON is written in pieces of whole characters.
        let text = str::from_utf8(piece).map_err(io::Error::other)?;
        self.text.push_str(&printable_json(text));
        if self.text.len() >= PIECE {
            self.hand_on()?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.stream.flush()
    }
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Renders rows under headings, aligned and without lines. On a terminal it keeps
/// to the width; in a pipe rows are never wrapped.
pub(crate) fn table(headings: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().map(|(name, _)| *name));
    table.add_rows(rows);
    match terminal_width() {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    for (index, (_, align)) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if *align == Align::Right {
                column.set_cell_alignment(CellAlignment::Right);
                // Numbers are not broken over lines.
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    table.trim_fmt()
}

/// Width of the terminal that standard output goes to, in columns.
pub(crate) fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}
