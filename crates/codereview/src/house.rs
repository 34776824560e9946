//! What a repository asks of its changes, from `.airside/review.toml`.

use serde::Deserialize;

/// Rules of the house. Every member has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct House {
    /// Longest function, in lines.
    pub function_lines: u32,
    /// Most ways through a function (cyclomatic complexity).
    pub complexity: u32,
    /// Deepest nesting of branches and loops.
    pub nesting: u32,
    /// Added lines of code from which on a change has to touch tests.
    pub tests_from_lines: usize,
    /// Lines of tests that come with a hundred lines of code; 0 asks for none beyond the first.
    pub tests_percent: usize,
    /// Whether exports that nobody uses are told.
    pub dead_exports: bool,
    /// Files whose exports are for others: beginnings of names, or parts of paths with `/`.
    pub exports: Vec<String>,
    /// Words that mark work that is left behind.
    pub debt: Vec<String>,
    /// Dependencies that nobody has to be told about.
    pub dependencies: Vec<String>,
    /// Dependencies that are not wanted, with what to use instead.
    pub unwanted: Vec<Unwanted>,
    /// Folder of recorded decisions, one Markdown file each.
    pub decisions: String,
    /// Folder of lessons learned, one Markdown file each.
    pub lessons: String,
    /// Days after a revert until its lesson is written down.
    pub lesson_days: u32,
    /// Words the documentation of a public function must add to its name and parameters.
    pub documentation_words: usize,
    /// Words the description of a tool must add to its name and parameters.
    pub tool_words: usize,
    /// Whether a change has to say if a tool wrote it.
    pub disclosure: bool,
    /// Parts of paths whose changes a person always reads.
    pub sensitive: Vec<String>,
    /// Calls that are not wanted, with what to use instead.
    pub forbidden: Vec<Forbidden>,
    /// Parts of paths that these checks leave alone.
    pub exempt: Vec<String>,
    /// Who looks after findings in which files; the last that fits counts.
    pub owners: Vec<Owner>,
}

/// Who looks after findings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Owner {
    /// Beginning of the paths; all of them unless given.
    #[serde(default)]
    pub below: String,
    /// A team or a handle.
    pub name: String,
}

/// A text that must not be added.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Forbidden {
    /// What must not be written, such as `requests.get(`.
    pub text: String,
    /// What to use instead.
    pub instead: String,
    /// Part of the paths where it counts; everywhere unless given.
    #[serde(default)]
    pub below: String,
}

/// A dependency that must not be added.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unwanted {
    /// Its name, as manifests have it.
    pub name: String,
    /// What to use instead.
    pub instead: String,
}

impl Default for House {
    fn default() -> Self {
        let words = [
            "auth",
            "login",
            "oauth",
            "permission",
            "policy",
            "payment",
            "billing",
            "secret",
            "crypto",
            "session",
            "token",
            "migration",
        ];
        let entries = [
            "index.",
            "lib.rs",
            "__init__.py",
            "main.",
            "mod.rs",
            "/bin/",
            "/examples/",
        ];
        let debt = ["TODO", "FIXME", "XXX", "HACK"];
        Self {
            function_lines: 100,
            complexity: 20,
            nesting: 5,
            tests_from_lines: 40,
            tests_percent: 10,
            dead_exports: true,
            exports: entries.map(str::to_owned).to_vec(),
            debt: debt.map(str::to_owned).to_vec(),
            dependencies: Vec::new(),
            unwanted: Vec::new(),
            decisions: "docs/adr".to_owned(),
            lessons: "docs/lessons".to_owned(),
            lesson_days: 14,
            documentation_words: 3,
            tool_words: 6,
            disclosure: false,
            sensitive: words.map(str::to_owned).to_vec(),
            forbidden: Vec::new(),
            exempt: Vec::new(),
            owners: Vec::new(),
        }
    }
}

impl House {
    /// Returns whether a person always reads changes of this path.
    #[must_use]
    pub fn is_sensitive(&self, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        self.sensitive.iter().any(|word| path.contains(&**word))
    }

    /// Returns who looks after findings in the file.
    #[must_use]
    pub fn owner_of(&self, path: &str) -> Option<&str> {
        let mut fitting = self.owners.iter().rev();
        let found = fitting.find(|owner| path.starts_with(&*owner.below));
        found.map(|owner| &*owner.name)
    }

    /// Returns whether these checks leave the path alone.
    #[must_use]
    pub fn is_exempt(&self, path: &str) -> bool {
        self.exempt.iter().any(|part| path.contains(&**part))
    }
}
