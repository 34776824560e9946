//! Reads configurations and says whether they are good to use.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use airside_identity::Digest;
use airside_policy::{Policies, Settings};
use airside_travel::house::Houses;

use crate::{
    check,
    config::Config,
    problem::{Problem, Problems},
    properties,
    source::{Source, Step},
};

/// Largest configuration or policy file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// A configuration that is good to use.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// Its policies, compiled.
    pub policies: Policies,
    /// The hotels of `travel.properties`.
    pub houses: Houses,
    /// SHA-256 of the configuration and its policies.
    pub digest: Digest,
}

/// The configuration of `airside up`.
const UP: &str = r#"
[identity]
anonymous-loopback = true

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]

# An assistant that has lost its way must not take the machine with it.
[[limit]]
name = "concurrent-per-client"
concurrent = 1024
per = ["client"]

[[limit]]
name = "rate-per-client"
rate = "5000/s"
burst = 10000
per = ["client"]
"#;

/// Returns the configuration of `airside up`.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn embedded(data_dir: &Path) -> Result<Loaded, Problems> {
    let source = Source {
        path: PathBuf::from("airside up"),
        text: UP.to_owned(),
    };
    let mut loaded = read(&source)?;
    data_dir.clone_into(&mut loaded.config.data_dir);
    Ok(loaded)
}

/// Reads the configuration in `file`.
///
/// # Errors
///
/// Everything that is wrong with it, or why it cannot be read.
pub fn load(file: &Path) -> Result<Loaded, Problems> {
    let text = read_text(file).map_err(|error| Problems {
        file: file.to_owned(),
        list: vec![Problem::unreadable(file, &error)],
    })?;
    read(&Source {
        path: file.to_owned(),
        text,
    })
}

/// Returns the policies in `files`, or the shipped ones if there are none.
///
/// # Errors
///
/// Everything that is wrong with them, or which of them cannot be read.
pub fn policies(files: &[PathBuf], settings: &Settings) -> Result<Policies, Problems> {
    let (mut texts, mut list) = (Vec::new(), Vec::new());
    for file in files {
        match read_text(file) {
            Ok(text) => texts.push(Source {
                path: file.clone(),
                text,
            }),
            Err(error) => list.push(Problem::unreadable(file, &error)),
        }
    }
    let policies = check::policies(&texts, settings, &mut list);
    match policies.filter(|_| list.is_empty()) {
        Some(policies) => Ok(policies),
        None => Err(Problems {
            file: files.first().cloned().unwrap_or_default(),
            list,
        }),
    }
}

fn read(source: &Source) -> Result<Loaded, Problems> {
    let refused = |list| Problems {
        file: source.path.clone(),
        list,
    };
    if let Err(error) = toml::de::DeTable::parse(&source.text) {
        return Err(refused(vec![Problem::from_syntax(source, &error)]));
    }
    let mut config: Config = toml::from_str(&source.text)
        .map_err(|error| refused(vec![Problem::from_value(source, &error)]))?;
    resolve(&mut config, source.folder());
    let mut list = check::check(source, &config);
    let texts = read_policies(source, &config, &mut list);
    let (properties, houses) = properties::read(source, &config, &mut list);
    let settings = config.policy.settings(&config.tool);
    let policies = check::policies(&texts, &settings, &mut list);
    let Some(policies) = policies.filter(|_| list.is_empty()) else {
        return Err(refused(list));
    };
    let mut all = source.text.clone();
    for text in texts.into_iter().chain(properties) {
        all.push('\0');
        all.push_str(&text.text);
    }
    let digest = Digest::of(all.as_bytes());
    Ok(Loaded {
        config,
        policies,
        houses,
        digest,
    })
}

fn read_policies(source: &Source, config: &Config, list: &mut Vec<Problem>) -> Vec<Source> {
    let mut texts = Vec::new();
    for (index, file) in config.policy.files.iter().enumerate() {
        let path = [Step::Key("policy"), Step::Key("files"), Step::Index(index)];
        match read_text(file) {
            Ok(text) => texts.push(Source {
                path: file.clone(),
                text,
            }),
            Err(error) => {
                let mut problem = Problem::unreadable(file, &error);
                problem.place = Some(source.place(&source.span(&path)));
                list.push(problem);
            }
        }
    }
    texts
}

/// Reads a whole file of bounded size.
pub(crate) fn read_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
    if text.len() as u64 == MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {MAX_FILE} bytes"),
        ));
    }
    Ok(text)
}

/// Makes relative paths start at `folder`, wherever the process was started.
fn resolve(config: &mut Config, folder: &Path) {
    config.data_dir = folder.join(&config.data_dir);
    if let Some(file) = &mut config.ledger.url_file {
        *file = folder.join(&*file);
    }
    let files = [
        &mut config.archive.key_file,
        &mut config.archive.credentials_file,
        &mut config.keys.url_file,
        &mut config.keys.vault_file,
        &mut config.travel.properties,
        &mut config.travel.supply.password_file,
        &mut config.travel.supply.app_key_file,
        &mut config.firewall.fingerprint_key_file,
    ];
    for file in files.into_iter().flatten() {
        *file = folder.join(&*file);
    }
    for kms in [&mut config.archive.kms, &mut config.keys.kms] {
        if let Some(file) = kms.as_mut().and_then(|kms| kms.credentials_file.as_mut()) {
            *file = folder.join(&*file);
        }
    }
    if let Some(payments) = &mut config.travel.payments {
        let files = [&mut payments.key_file, &mut payments.webhook_secret_file];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
    for file in &mut config.policy.files {
        *file = folder.join(&*file);
    }
    config.inventory.rebase(folder);
    if let Some(tls) = &mut config.listen.tls {
        for file in [&mut tls.certificate_file, &mut tls.key_file] {
            *file = folder.join(&*file);
        }
    }
    for platform in &mut config.identity.certificate {
        let files = [Some(&mut platform.ca_file), platform.crl_file.as_mut()];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
    if let Some(store) = &mut config.limits.store {
        store.url_file = folder.join(&store.url_file);
    }
    for key in &mut config.identity.signing_key {
        key.file = folder.join(&key.file);
    }
    for issuer in &mut config.identity.issuer {
        if let Some(introspection) = &mut issuer.introspection {
            let file = &mut introspection.client_secret_file;
            *file = folder.join(&*file);
        }
    }
    for domain in &mut config.identity.trust_domain {
        if let Some(file) = &mut domain.bundle_file {
            *file = folder.join(&*file);
        }
    }
    for upstream in &mut config.upstream {
        for file in upstream.files() {
            *file = folder.join(&*file);
        }
        if let Some(directory) = &mut upstream.directory {
            *directory = folder.join(&*directory);
        }
        // A program with a slash is a path; without one it is looked up in PATH.
        if let Some(program) = upstream.command.first_mut()
            && program.contains('/')
        {
            *program = folder.join(&*program).to_string_lossy().into_owned();
        }
    }
}
