//! Runs what a page shows and compares it with what the page says comes out.
//!
//! A block is run if a comment stands on the line before it:
//!
//! ````markdown
//! <!-- tested -->
//! ```console
//! $ airside explain GW-001
//! GW-001: …
//! ...
//! ```
//! ````
//!
//! Lines that begin with `$ ` are commands for `bash`; a command that ends with a
//! backslash, or has a here-document that ends with `END`, goes on in the next
//! line. What follows is what the command prints.
//! `…` stands for any text within a line, a line `...` for any lines. After
//! `<!-- tested: start COMMAND -->` the command runs in the background in place
//! of the one shown, until the page ends, and the block ends when its lines have
//! been printed.
//!
//! # Invariants
//!
//! * A page without a tested block is an error, not a success.

use std::{
    io::{self, BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// One command and what it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// First line of the page that belongs to it, counted from 1.
    line: usize,
    command: String,
    /// Runs in the background.
    stays: bool,
    expected: Vec<String>,
}

/// Why a page does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing in the page is marked.
    #[error("no block is marked with <!-- tested -->")]
    Nothing,
    /// A mark, or the block after it, cannot be read.
    #[error("line {line}: {problem}")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A command could not be run.
    #[error("line {line}: cannot run the command")]
    System {
        /// Counted from 1.
        line: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A command printed something else.
    #[error("line {line}: `{command}` should print\n{expected}\nbut printed\n{printed}")]
    Differs {
        /// Counted from 1.
        line: usize,
        /// What was run.
        command: String,
        /// What the page says.
        expected: String,
        /// What came out.
        printed: String,
    },
}

/// Runs the tested blocks of `page` in `folder`, with `path` before the search
/// path for programs, and returns how many commands did what the page says.
///
/// # Errors
///
/// With the first command that does not.
pub fn run(page: &str, folder: &Path, path: &Path) -> Result<usize, Error> {
    let steps = read(page)?;
    let mut running = Running(Vec::new());
    for step in &steps {
        let printed =
            perform(step, folder, path, &mut running).map_err(|source| Error::System {
                line: step.line,
                source,
            })?;
        if !fits(&step.expected, &printed) {
            return Err(Error::Differs {
                line: step.line,
                command: step.command.clone(),
                expected: step.expected.join("\n"),
                printed: printed.join("\n"),
            });
        }
    }
    Ok(steps.len())
}

/// Programs in the background; stopped when this is dropped.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn perform(
    step: &Step,
    folder: &Path,
    path: &Path,
    running: &mut Running,
) -> io::Result<Vec<String>> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let search = [path.into()]
        .into_iter()
        .chain(std::env::split_paths(&search));
    let search = std::env::join_paths(search).map_err(io::Error::other)?;
    let mut command = Command::new("bash");
    // `exec` makes the program itself the child that is stopped.
    let script = match step.stays {
        true => format!("exec {}", step.command),
        false => format!("{{ {}\n}} 2>&1", step.command),
    };
    command
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", search)
        .env("HOME", folder)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "120")
        .stdin(Stdio::null());
    if !step.stays {
        let output = command.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        return Ok(text.lines().map(str::to_owned).collect());
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("the output was asked for");
    running.0.push(child);
    let mut printed = Vec::new();
    for line in BufReader::new(output).lines() {
        printed.push(line?);
        if fits(&step.expected, &printed) {
            break;
        }
    }
    Ok(printed)
}

/// Reads the steps of a page.
fn read(page: &str) -> Result<Vec<Step>, Error> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines().enumerate().map(|(at, line)| (at + 1, line));
    while let Some((at, line)) = lines.next() {
        let mark = line.trim().strip_prefix("<!-- tested").map(str::trim_end);
        let Some(mark) = mark.and_then(|mark| mark.strip_suffix("-->")) else {
            continue;
        };
        let unreadable = |line, problem| Error::Unreadable { line, problem };
        let background = match mark.trim() {
            "" => None,
            mark => match mark.strip_prefix(": start ") {
                Some(command) => Some(command.trim()),
                None => {
                    return Err(unreadable(
                        at,
                        "the mark is neither `tested` nor `tested: start COMMAND`",
                    ));
                }
            },
        };
        if lines
            .next()
            .is_none_or(|(_, fence)| fence.trim() != "```console")
        {
            return Err(unreadable(at, "no console block follows the mark"));
        }
        let first = steps.len();
        let mut continued = false;
        loop {
            let Some((at, line)) = lines.next() else {
                return Err(unreadable(at, "the block does not end"));
            };
            if line.trim() == "```" {
                break;
            }
            if continued && let Some(step) = steps.last_mut() {
                step.command.push('\n');
                step.command.push_str(line);
            } else if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step {
                    line: at,
                    command: background.unwrap_or(command).to_owned(),
                    stays: background.is_some(),
                    expected: Vec::new(),
                });
            } else if steps.len() > first
                && let Some(step) = steps.last_mut()
            {
                step.expected.push(line.trim_end().to_owned());
            } else {
                return Err(unreadable(at, "the block does not begin with a command"));
            }
            continued = match steps.last() {
                Some(step) if continued || line.starts_with("$ ") => is_open(&step.command),
                _ => false,
            };
        }
        if steps.len() == first {
            return Err(unreadable(at, "the block has no command"));
        }
    }
    if steps.is_empty() {
        return Err(Error::Nothing);
    }
    Ok(steps)
}

/// Returns whether a command goes on in the next line: after a backslash, and
/// until the last line of a here-document, which is `END`.
fn is_open(command: &str) -> bool {
    let document = command.contains("<<'END'") && !command.ends_with("\nEND");
    document || command.ends_with('\\')
}

/// Returns whether `printed` is what `expected` describes. Empty lines at the end
/// and blanks at the ends of lines do not count.
fn fits(expected: &[String], printed: &[String]) -> bool {
    match expected {
        [] => printed.iter().all(|line| line.trim().is_empty()),
        [any, rest @ ..] if any == "..." => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        [line, rest @ ..] => match printed {
            [] => line.is_empty() && fits(rest, printed),
            [first, others @ ..] => line_fits(line, first.trim_end()) && fits(rest, others),
        },
    }
}

/// Returns whether a line is what `pattern` with `…` for any text describes.
fn line_fits(pattern: &str, line: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('…') else {
        return pattern == line;
    };
    let Some(line) = line.strip_prefix(head) else {
        return false;
    };
    let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    let mut ends = ends;
    ends.any(|at| line_fits(rest, &line[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a page in an empty folder and tells how it went.
    fn check(page: &str) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        run(page, folder.path(), folder.path()).map_err(|error| error.to_string())
    }

    fn block(mark: &str, lines: &str) -> String {
        format!("# Title\n\n<!-- {mark} -->\n```console\n{lines}\n```\n\nText\n")
    }

    #[test]
    fn commands_print_what_the_page_says() {
        let page = block(
            "tested",
            "$ echo one; echo two\none\ntwo\n$ printf 'a\\n\\n'\na",
        );
        assert_eq!(check(&page), Ok(2));
    }

    #[test]
    fn difference_is_found() {
        let error = check(&block("tested", "$ echo one\ntwo")).unwrap_err();
        assert!(
            error.starts_with("line 5: `echo one` should print\ntwo"),
            "{error}"
        );
        assert!(
            check(&block("tested", "$ echo one; echo two\none")).is_err(),
            "one line more"
        );
        assert!(
            check(&block("tested", "$ echo one\none\ntwo")).is_err(),
            "one line less"
        );
    }

    #[test]
    fn wildcards_stand_for_what_changes() {
        let page = |expected: &str| block("tested", &format!("$ seq 5; echo a-b-c\n{expected}"));
        assert_eq!(check(&page("1\n...\n5\na-…-c")), Ok(1));
        assert_eq!(check(&page("...\n…c")), Ok(1));
        assert!(check(&page("1\n...\n6\n...")).is_err());
        assert!(check(&page("...\na-…-d")).is_err());
    }

    #[test]
    fn background_program_runs_for_the_blocks_after_it() {
        let page = block(
            "tested: start bash -c 'echo ready; echo $$ > pid; exec tail -f /dev/null'",
            "$ scripts/serve\nready",
        ) + &block(
            "tested",
            "$ until test -s pid; do :; done; kill -0 $(cat pid) && echo alive\nalive",
        );
        assert_eq!(check(&page), Ok(2));
    }

    #[test]
    fn long_command_goes_on_in_the_next_line() {
        assert_eq!(
            check(&block("tested", "$ echo one \\\n    two\none two")),
            Ok(1)
        );
    }

    #[test]
    fn here_document_belongs_to_its_command() {
        let page = "$ cat <<'END' | tac\none\ntwo\nEND\ntwo\none\n$ echo three\nthree";
        assert_eq!(check(&block("tested", page)), Ok(2));
    }

    #[test]
    fn standard_error_is_shown_too() {
        assert_eq!(check(&block("tested", "$ echo no >&2; false\nno")), Ok(1));
    }

    #[test]
    fn page_that_tests_nothing_is_an_error() {
        assert!(check("# Title\n```console\n$ false\n```\n").is_err());
        assert!(check(&block("tested", "")).is_err());
        assert!(check(&block("tested soon", "$ true")).is_err());
        assert!(check("<!-- tested -->\n\n```console\n$ true\n```").is_err());
        assert!(check("<!-- tested -->\n```console\n$ true\n").is_err());
    }
}
