//! Whether what a command takes from elsewhere has an exact version.

use super::launch::{base, is_engine};

/// Returns what a command takes from elsewhere without an exact version.
pub(super) fn unpinned(words: &[&str]) -> Vec<String> {
    let Some((program, rest)) = words.split_first() else {
        return Vec::new();
    };
    let second = rest.first().copied().unwrap_or_default();
    let loose = |packages: Vec<&str>, exact: fn(&str) -> bool| -> Vec<String> {
        let loose = packages.into_iter().filter(|package| !exact(package));
        loose.map(str::to_owned).collect()
    };
    match (base(program).as_str(), second) {
        // The program proper comes behind it.
        ("cmd", _) => rest.get(1..).map_or_else(Vec::new, unpinned),
        ("env", _) => unpinned(rest),
        ("npx" | "bunx", _) => {
            let named = [after(rest, "-p"), after(rest, "--package")].concat();
            let packages = match named.is_empty() {
                true => first(rest, &["-c", "--call"]),
                false => named,
            };
            loose(packages, npm_is_exact)
        }
        ("pnpm" | "yarn", "dlx") | ("npm", "exec" | "x") | ("bun", "x") => {
            loose(first(&rest[1..], &[]), npm_is_exact)
        }
        ("uvx", _) => loose(of_uv(rest), python_is_exact),
        ("uv", "tool") => loose(of_uv(rest.get(2..).unwrap_or_default()), python_is_exact),
        ("uv", "run") => loose(after(rest, "--with"), python_is_exact),
        ("pipx", "run") => loose(first(&rest[1..], &[]), python_is_exact),
        (_, "run") if is_engine(program) => {
            let by_digest: fn(&str) -> bool = |image| image.contains("@sha256:");
            loose(first(&rest[1..], &WITH_VALUE), by_digest)
        }
        ("go", "run") => {
            let local = |module: &str| module.starts_with(['.', '/']) || !module.contains('.');
            let loose = first(&rest[1..], &[]).into_iter().filter(|module| {
                let version = module.rsplit_once("@v").map(|(_, version)| version);
                !module.ends_with(".go") && !local(module) && !version.is_some_and(is_exact)
            });
            loose.map(str::to_owned).collect()
        }
        ("deno", "run") => {
            let remote = |module: &&str| {
                let schemes = ["npm:", "jsr:", "https:"];
                schemes.iter().any(|scheme| module.starts_with(scheme))
            };
            let modules = first(&rest[1..], &[]).into_iter().filter(remote);
            let modules = modules.map(|module| module.split_once(':').map_or(module, |(_, m)| m));
            loose(modules.collect(), npm_is_exact)
        }
        _ => Vec::new(),
    }
}

/// Returns the first word that is no option; `skip` are options with a value.
fn first<'w>(words: &[&'w str], skip: &[&str]) -> Vec<&'w str> {
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            _ if skip.contains(&word) => drop(words.next()),
            _ if word.starts_with('-') => {}
            _ => return vec![word],
        }
    }
    Vec::new()
}

/// Returns the values of the option `flag`.
fn after<'w>(words: &[&'w str], flag: &str) -> Vec<&'w str> {
    let pairs = words.windows(2).filter(|pair| pair[0] == flag);
    pairs.map(|pair| pair[1]).collect()
}

fn of_uv<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let package = match after(words, "--from") {
        from if from.is_empty() => first(words, &["--with", "--python", "-p", "--index-url"]),
        from => from,
    };
    [package, after(words, "--with")].concat()
}

/// `name@1.2.3`, `@scope/name@1.2.3`, a tarball of a commit, or a path.
fn npm_is_exact(package: &str) -> bool {
    if package.starts_with(['.', '/']) {
        return true;
    }
    let name = package.strip_prefix('@').unwrap_or(package);
    name.rsplit_once('@')
        .is_some_and(|(_, version)| is_exact(version))
}

/// `name==1.2.3`, `name@1.2.3`, or a path.
fn python_is_exact(package: &str) -> bool {
    if package.starts_with(['.', '/']) {
        return true;
    }
    let commit = |text: &str| {
        let hex = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        package.contains("git+") && hex
    };
    let version = package
        .rsplit_once("==")
        .or_else(|| package.rsplit_once('@'));
    version.is_some_and(|(_, version)| is_exact(version) || commit(version))
}

/// Three numbers, perhaps with more behind them: no range and no tag.
fn is_exact(version: &str) -> bool {
    let mut numbers = version
        .split(['-', '+'])
        .next()
        .unwrap_or_default()
        .split('.');
    let digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let first = numbers.clone().next().unwrap_or_default();
    first.bytes().all(|byte| byte.is_ascii_digit())
        && numbers.clone().count() >= 2
        && numbers.all(digits)
        && !version.ends_with(".x")
}

/// Options of `docker run` that take a value in the next word.
const WITH_VALUE: [&str; 40] = [
    "-e",
    "--env",
    "-v",
    "--volume",
    "-p",
    "--publish",
    "--name",
    "--network",
    "--net",
    "-w",
    "--workdir",
    "-u",
    "--user",
    "--mount",
    "--entrypoint",
    "--env-file",
    "-l",
    "--label",
    "-m",
    "--memory",
    "--platform",
    "--pid",
    "--cap-add",
    "--cap-drop",
    "--security-opt",
    "--add-host",
    "-h",
    "--hostname",
    "--dns",
    "--cpus",
    "--shm-size",
    "--restart",
    "--pull",
    "--tmpfs",
    "--device",
    "--gpus",
    "--ulimit",
    "--userns",
    "--ipc",
    "--runtime",
];
