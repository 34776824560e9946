use std::{fs, path::Path, sync::LazyLock};

use proptest::prelude::*;

use super::{Scan, memory::Memory, scan};
use crate::{
    memory::{Digest, Folder, digest_of},
    rules::Rules,
    source::{Language, Skip, Source},
};

static RULES: LazyLock<Rules> = LazyLock::new(Rules::builtin);

/// Beginnings and ends of everything, in no order that makes sense.
const WORDS: [&str; 40] = [
    "def ", "f(", "x", "\"", "'", "`", "${", "{", "}", "(", ")", "=>", "class ", "async ",
    "@tool ", "\n", "    ", "f\"", "é", "import ", "from ", ".", "/", "#", "fn ", "pub ",
    "format!(", "\"{x}", "match ", "if ", "else ", ":", "=", "+", "func ", "return ", "\\",
    "switch", "case ", "<T>",
];

fn source(language: Language, text: String) -> Source {
    Source {
        path: "a".to_owned(),
        language,
        text: text.into_bytes().into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_text_stops_the_scan(
        words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..300),
    ) {
        let text = words.concat();
        for language in Language::ALL {
            scan(&[source(language, text.clone())], &RULES, None);
        }
    }
}

#[test]
fn function_of_many_branches_and_names_is_cut_and_told() {
    let branches = (0..20_000).map(|n| format!("    v{n} = a\n    if v{n}:\n        v{n} = 1\n"));
    let text = format!("def f(a):\n{}", branches.collect::<String>());
    let found = scan(&[source(Language::Python, text)], &RULES, None);
    assert_eq!(found.skipped, [(Skip::TooSlow, "a".to_owned())]);
}

/// Each call of a chain once evaluated what stands before it twice.
#[test]
fn long_chain_of_calls_is_followed_to_its_end() {
    let text = format!("const a = load(){};", ".then((x) => x)".repeat(60));
    let found = scan(&[source(Language::Javascript, text)], &RULES, None);
    assert_eq!(found.skipped, []);
}

/// A function in a function is followed once for the same values, however often it is called.
#[test]
fn closure_that_is_called_often_is_followed_to_its_end() {
    let body = "  print(\"a long way\", x);\n".repeat(400);
    let calls = "  show(\"the same\");\n".repeat(400);
    let text = format!("function all() {{\n  const show = (x) => {{\n{body}  }};\n{calls}}}\n");
    let found = scan(&[source(Language::Javascript, text)], &RULES, None);
    assert_eq!(found.skipped, []);
}

/// Threads share the functions of a large file; each is found where it stands.
#[test]
fn functions_of_a_large_file_are_each_followed() {
    let function = |n: usize| match n % 20 {
        19 => format!("@tool()\ndef start{n}(command: str):\n    os.system(command)\n\n"),
        _ => format!("def rest{n}(value):\n    return value\n\n\n"),
    };
    let text: String = (0..200).map(function).collect();
    let text = format!("import os\nfrom mcp import tool\n{text}");
    let found = scan(&[source(Language::Python, text)], &RULES, None);
    let mut lines: Vec<u32> = found.drafts.iter().map(|one| one.place.from).collect();
    lines.sort_unstable();
    let expected: Vec<u32> = (0..10).map(|n| 3 + 4 * (n * 20 + 19) + 2).collect();
    assert_eq!(lines, expected);
}

#[test]
fn tree_that_is_too_deep_is_left_out_and_told() {
    let text = format!("f({}a{})", "h(".repeat(5_000), ")".repeat(5_000));
    let found = scan(&[source(Language::Javascript, text)], &RULES, None);
    assert_eq!(found.skipped, [(Skip::Syntax, "a".to_owned())]);
}

/// Files that call each other in every way that is followed; `{a}` and `{b}` are names of
/// others.
const PYTHON: [&str; 9] = [
    "from {a} import run\nfrom mcp import tool\n@tool\ndef start(command: str):\n    return run(command)\n",
    "import os\ndef run(command):\n    os.system('x ' + command)\n",
    "from {a} import run as inner\ndef run(command):\n    inner(command)\n    return command\n",
    "import subprocess\ndef run(command):\n    check = lambda c: c\n    subprocess.run(check(command), shell=True)\n",
    "import {a}\nclass Tool:\n    def __init__(self, value):\n        self.value = {a}.LIMIT\n    def run_everything(self, text):\n        {a}.run(self.value + text)\n",
    "from {a} import Tool\nLIMIT = 'echo'\n@app.get('/x')\ndef run(text):\n    Tool(text).run_everything(text)\n",
    "def run(command):\n    command.run_everything(command)\n\ndef unused(path):\n    open(path).read()\n",
    "def broken(:\n  (\n",
    "from {a} import run\nimport random\ntoken = random.random()\nLIMIT = run\n",
];
const SCRIPT: [&str; 6] = [
    "import { run } from './{a}';\nserver.tool('x', async ({ path }) => { await run(path); });\n",
    "import { exec } from 'child_process';\nexport const run = (path: string) => { exec(`ls ${path}`); };\n",
    "import { run as inner } from './{a}';\nexport function run(path: string) { [1].map(() => inner(path)); return path; }\n",
    "import * as other from './{a}';\nexport class Holder { constructor(private x: string) { this.x = x; } runEverything(p: string) { other.run(this.x + p); } }\nexport const run = other.run;\n",
    "export const run = async (path: string) => { const data = await fetch(path); return data; };\n",
    "import { Holder } from './{a}';\nimport fs from 'fs';\nexport function run(p: string) { new Holder(p).runEverything(p); fs.readFileSync(p); }\n",
];
const GO: [&str; 5] = [
    "package p\nimport \"os/exec\"\nfunc runIt(c string) { exec.Command(\"sh\", \"-c\", c).Run() }\n",
    "package p\nfunc Handle(w http.ResponseWriter, r *http.Request) { runIt(r.URL.Query().Get(\"c\")) }\n",
    "package p\ntype T struct{ v string }\nfunc (t T) Go(c string) { runIt(t.v + c) }\n",
    "package p\nfunc init() { s.AddTool(t, func(ctx context.Context, req mcp.CallToolRequest) (any, error) { runIt(req.GetString(\"c\", \"\")); return nil, nil }) }\n",
    "package p\nvar Limit = \"x\"\n",
];

/// A file: which name it has, which text, which others it names, and what stands before.
type Piece = (usize, usize, usize, usize);

fn file(piece: Piece) -> Source {
    let (name, text, other, lines) = piece;
    let (language, ending, texts, comment) = match name % 3 {
        0 => (Language::Python, "py", &PYTHON[..], "# more\n"),
        1 => (
            Language::Typescript,
            "ts",
            &SCRIPT[..],
            "// more\nf(() => 1);\n",
        ),
        _ => (Language::Go, "go", &GO[..], "// more\n"),
    };
    let name_of = |at: usize| format!("m{}", at / 3);
    let text = texts[text % texts.len()].replace("{a}", &name_of(other % 12));
    Source {
        path: format!("src/{}.{ending}", name_of(name)),
        language,
        text: format!("{}{text}", comment.repeat(lines))
            .into_bytes()
            .into(),
    }
}

fn told(scan: &Scan) -> Vec<String> {
    let drafts = scan.drafts.iter().map(|draft| format!("{draft:?}"));
    let skipped = scan.skipped.iter().map(|skip| format!("{skip:?}"));
    let mut all: Vec<String> = drafts.chain(skipped).collect();
    all.sort();
    all
}

/// Scans `sources` with what is kept in `folder`; also tells why that was dropped, if so.
fn scanned(folder: &Path, sources: &[Source]) -> (Vec<String>, Option<String>) {
    let folder = Folder::open(folder, Path::new(".")).expect("nobody else uses it");
    let mut memory = Memory::open(&folder, 7);
    let digests = sources.iter().map(|source| digest_of(&source.text));
    let digests: Vec<Digest> = digests.collect();
    let found = scan(sources, &RULES, Some((&mut memory, &digests)));
    (told(&found), memory.dropped().map(str::to_owned))
}

fn remembered(folder: &Path, sources: &[Source]) -> Vec<String> {
    let (told, dropped) = scanned(folder, sources);
    assert_eq!(dropped, None);
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::review::tests::cases(12)))]

    #[test]
    fn what_is_remembered_changes_no_finding(
        first in proptest::collection::vec((0..12_usize, 0..9_usize, 0..12_usize, 0..2_usize), 4..16),
        changes in proptest::collection::vec(
            proptest::collection::vec((0..12_usize, 0..10_usize, 0..12_usize, 0..3_usize), 1..4),
            1..6,
        ),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = std::collections::BTreeMap::new();
        for piece in first {
            let source = file(piece);
            files.insert(source.path.clone(), source);
        }
        for change in std::iter::once(Vec::new()).chain(changes) {
            for piece in change {
                let source = file(piece);
                match piece.1 {
                    // One in ten goes away.
                    9 => files.remove(&source.path),
                    _ => files.insert(source.path.clone(), source),
                };
            }
            let sources: Vec<Source> = files.values().cloned().collect();
            let fresh = told(&scan(&sources, &RULES, None));
            prop_assert_eq!(&remembered(folder.path(), &sources), &fresh);
            // And once more, when nothing has changed.
            prop_assert_eq!(&remembered(folder.path(), &sources), &fresh);
        }
    }
}

#[test]
fn file_that_joins_a_package_is_seen_by_those_that_were_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (caller, called) = (file((8, 1, 0, 0)), file((2, 0, 0, 0)));
    assert!(remembered(folder.path(), std::slice::from_ref(&caller)).is_empty());
    let both = [called, caller];
    let fresh = told(&scan(&both, &RULES, None));
    assert_eq!(fresh.len(), 1);
    assert_eq!(remembered(folder.path(), &both), fresh);
}

#[test]
fn programs_of_the_property_have_findings_across_files() {
    let pieces = [
        (0, 0, 3, 0),
        (3, 2, 6, 0),
        (6, 1, 0, 0),
        (1, 0, 4, 0),
        (4, 1, 0, 0),
        (2, 3, 0, 0),
        (5, 0, 0, 0),
    ];
    let sources: Vec<Source> = pieces.into_iter().map(file).collect();
    let found = scan(&sources, &RULES, None);
    let proven = found
        .drafts
        .iter()
        .filter(|one| one.class == "command-injection");
    let mut places: Vec<&str> = proven.map(|one| one.place.path.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["src/m1.go", "src/m1.ts", "src/m2.py"]);
}

#[test]
fn damaged_memory_is_dropped_and_told() {
    let sources: Vec<Source> = [(0, 0, 3, 0), (3, 1, 0, 0)].into_iter().map(file).collect();
    for (part, places) in [("index", 0..3), ("1", 3..4)] {
        for place in places {
            let folder = tempfile::tempdir().expect("a folder");
            let fresh = remembered(folder.path(), &sources);
            let path = fs::read_dir(folder.path())
                .expect("a folder")
                .map(|entry| entry.expect("a file").path())
                .find(|path| path.extension().is_some_and(|end| end == part))
                .expect("a file of each part");
            let mut bytes = fs::read(&path).expect("a file");
            let last = bytes.len() - 1;
            match place {
                0 => bytes[0] ^= 1,
                1 => bytes[last / 2] ^= 1,
                2 => bytes[last] ^= 1,
                _ => bytes.iter_mut().for_each(|byte| *byte ^= 1),
            }
            fs::write(&path, &bytes).expect("a file");
            let (told, dropped) = scanned(folder.path(), &sources);
            assert_eq!(told, fresh, "{part} {place}");
            assert!(dropped.is_some(), "{part} {place}");
            // What was dropped is learned again.
            let again = [&sources[..], &[file((6, 1, 0, 0))]].concat();
            remembered(folder.path(), &again);
            assert_eq!(remembered(folder.path(), &sources), fresh);
        }
    }
}

#[test]
fn only_one_review_uses_a_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = Folder::open(folder.path(), Path::new(".")).expect("nobody else uses it");
    let second = Folder::open(folder.path(), Path::new("."));
    assert!(second.is_err_and(|why| why.contains("another review")));
}

#[test]
fn values_made_of_values_do_not_double_for_ever() {
    let steps = (1..30).map(|n| {
        format!(
            "    v{n} = {{'a': v{p}, 'b': v{p}}}\n    w{n} = [v{p}, w{p}]\n",
            p = n - 1
        )
    });
    let text = format!(
        "import os\ndef f(x):\n    v0 = {{'a': x}}\n    w0 = [x]\n{}    os.system(v29)\n    os.system(w29)\n",
        steps.collect::<String>()
    );
    let found = scan(&[source(Language::Python, text)], &RULES, None);
    assert_eq!(found.drafts.len(), 2, "{:?}", found.drafts);
}

/// Programs of our own, in the shapes that servers have: lines that end in `BAD class` have
/// to be found, and nothing else may be.
#[test]
fn programs_show_what_is_marked_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut wrong = Vec::new();
    let mut programs = 0;
    for file in fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("it can be listed").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let language = Language::of(&path).expect("a language");
        let text = fs::read_to_string(&path).expect("it can be read");
        let marked = text.lines().zip(1_u32..).filter_map(|(line, at)| {
            let class = line.split_once("BAD ")?.1;
            Some((at, class.to_owned()))
        });
        let marked: Vec<(u32, String)> = marked.collect();
        let one = Source {
            path: name.to_owned(),
            ..source(language, text)
        };
        let found = scan(&[one], &RULES, None).drafts;
        let covers = |place: &crate::copies::Place, class: &str, mark: &(u32, String)| {
            (place.from..=place.to).contains(&mark.0) && mark.1 == class
        };
        for mark in &marked {
            if !found.iter().any(|one| covers(&one.place, &one.class, mark)) {
                wrong.push(format!("{name}:{} {} is missed", mark.0, mark.1));
            }
        }
        for one in &found {
            if !marked
                .iter()
                .any(|mark| covers(&one.place, &one.class, mark))
            {
                wrong.push(format!("{name}:{} {} is false", one.place.from, one.rule));
            }
        }
        programs += 1;
    }
    assert!(programs > 20, "{programs} programs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
