//! Refuses configurations that are unsafe or cannot work.

mod policies;
mod servers;

use std::{collections::HashSet, net::SocketAddr, path::PathBuf, sync::Arc};

use airside_archive::{Access, KeyAt};
use airside_base::SystemClock;
use airside_gateway::{
    config::{self as gateway, ClientCertificates},
    tls::{Keys, TlsError},
};
use airside_identity::{ConfigError, Identity, Outside, Reach};
use airside_screen::terminal::nearest;

pub(crate) use self::policies::policies;
use crate::{
    config::{ArchivePlace, Config},
    problem::Problem,
    source::{Source, Step},
};

/// Names of the servers that are part of this program.
pub const BUILTINS: [&str; 3] = ["travel", "flights", "airline"];

/// Returns everything that is wrong with `config`, which was read from `source`.
pub(crate) fn check(source: &Source, config: &Config) -> Vec<Problem> {
    let mut list = Vec::new();
    listener(source, config, &mut list);
    servers::upstreams(source, &config.upstream, &mut list);
    servers::endpoints(source, config, &mut list);
    servers::tools(source, config, &mut list);
    identity(source, config, &mut list);
    control(source, config, &mut list);
    servers::upstream_keys(source, config, &mut list);
    archive(source, config, &mut list);
    hotels(source, config, &mut list);
    limits(source, config, &mut list);
    supplier(source, config, &mut list);
    firewall(source, config, &mut list);
    inventory(source, config, &mut list);
    list
}

fn mirror(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let Some(mirror) = &config.inventory.mirror else {
        return;
    };
    let path = [Step::Key("inventory"), Step::Key("mirror")];
    let mut complain = |why: &str, hint: &str| {
        list.push(Problem::at(source, &path, "INV-017", why.to_owned(), hint));
    };
    if mirror.url.is_some() == mirror.folder.is_some() {
        complain(
            "a mirror is either a URL or a folder",
            "give one of `url` and `folder`",
        );
    }
    if config.inventory.feeds.is_some() {
        complain(
            "feeds come from a folder or from a mirror",
            "remove `feeds`: those of a mirror are kept in the data folder",
        );
    }
    if let Some(url) = &mirror.url
        && let Err(why) = Reach::of(url, mirror.internal).check(url)
    {
        complain(
            &why.to_string(),
            "use https, and `internal = true` for a host in a private network",
        );
    }
    if mirror.every_h == 0 || mirror.every_h > 168 {
        complain("`every-h` is between 1 and 168", "6 is the default");
    }
}

fn inventory(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    mirror(source, config, list);
    let known: Vec<&str> = config.upstream.iter().map(|u| u.name.as_str()).collect();
    let mut seen = HashSet::new();
    for (index, server) in config.inventory.server.iter().enumerate() {
        let mut complain = |key, why: String, hint: &str| {
            let path = [
                Step::Key("inventory"),
                Step::Key("server"),
                Step::Index(index),
                Step::Key(key),
            ];
            list.push(Problem::at(source, &path, "INV-014", why, hint));
        };
        let name = server.upstream.as_str();
        if !known.contains(&name) {
            let hint = nearest(name, known.iter().copied());
            let hint = hint.map(|near| format!("did you mean `{near}`?"));
            let why = format!("there is no upstream `{name}`");
            complain(
                "upstream",
                why,
                &hint.unwrap_or_else(|| "name an `[[upstream]]`".to_owned()),
            );
        } else if !seen.insert(name) {
            let why = format!("`{name}` is there twice");
            complain("upstream", why, "put all its sources into one block");
        }
        if server.sources.is_empty() {
            let why = format!("nothing says what `{name}` is made of");
            complain("sources", why, "name its lock files or its SBOM");
        }
    }
}

fn firewall(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    use airside_firewall::ConfigError as Error;
    for (exception, error) in airside_firewall::check(&config.firewall) {
        let mut path = vec![Step::Key("firewall")];
        if let Some(index) = exception {
            path.extend([Step::Key("rule"), Step::Index(index)]);
        }
        let (key, hint) = match &error {
            Error::UnknownRule { .. } => ("rules", "`airside firewall rules` lists them"),
            Error::Empty => (
                "groups",
                "name what it is about, such as `groups = [\"card\"]`",
            ),
            Error::Key { .. } | Error::ShortKey { .. } => (
                "fingerprint-key-file",
                "write 32 random bytes into it, readable by this user only",
            ),
            Error::Classifier { .. } | Error::Range { .. } => {
                ("classifier", "see docs/firewall.md")
            }
        };
        path.push(Step::Key(key));
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            text.push_str(&format!(": {cause}"));
        }
        let code = error.fault().code();
        list.push(Problem::at(source, &path, code, text, hint));
    }
}

fn limits(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    use airside_limits::ConfigError as Error;
    for (place, error) in airside_limits::check(&config.limits, &config.limit) {
        let mut path = match place {
            Some(index) => vec![Step::Key("limit"), Step::Index(index)],
            None => vec![Step::Key("limits")],
        };
        let (key, hint) = match &error {
            Error::Name { .. } => ("name", "write it like `search-per-client`"),
            Error::SameName { .. } => ("name", "give each limit a name of its own"),
            Error::Kind { .. } => ("name", "write a limit for each of them"),
            Error::Pace { .. } => ("rate", "write it like 100/s, with a `burst` beside it"),
            Error::Value { key, .. } => (*key, "see docs/limits.md"),
            Error::Zone { .. } => ("zone", "write it like Europe/Berlin"),
        };
        path.push(Step::Key(key));
        let fault = error.fault();
        let text = fault.public().to_owned();
        list.push(Problem::at(source, &path, fault.code(), text, hint));
    }
    let upstreams = || config.upstream.iter().map(|known| known.name.as_str());
    for (index, limit) in config.limit.iter().enumerate() {
        for (position, name) in limit.upstreams.iter().enumerate() {
            if upstreams().any(|known| known == name) {
                continue;
            }
            let hint = match nearest(name, upstreams()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("add [[upstream]] with `name = \"{name}\"`"),
            };
            let path = [
                Step::Key("limit"),
                Step::Index(index),
                Step::Key("upstreams"),
                Step::Index(position),
            ];
            let text = format!("there is no upstream `{name}`");
            list.push(Problem::at(source, &path, "CFG-009", text, hint));
        }
    }
}

/// A supplier has to be reachable, and its hotels have to be known by one name each.
fn supplier(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    if !(5..=86_400).contains(&config.travel.hold_seconds) {
        list.push(Problem::at(
            source,
            &[Step::Key("travel"), Step::Key("hold-seconds")],
            "TRV-332",
            "rooms are held for 5 to 86,400 seconds".to_owned(),
            "a traveller needs some minutes to review and agree; 900 is usual",
        ));
    }
    let supply = &config.travel.supply;
    let head = [Step::Key("travel"), Step::Key("supply")];
    if let Some((key, why)) = supply.complaint() {
        let path = [&head[..], &[Step::Key(key)]].concat();
        let hint = "see docs/opera.md for an example";
        list.push(Problem::at(source, &path, "CFG-026", why.to_owned(), hint));
    }
    let (mut codes, mut ids) = (HashSet::new(), HashSet::new());
    for (index, hotel) in supply.hotel.iter().enumerate() {
        let mut complain = |key, why: String, hint: &str| {
            let inner = [Step::Key("hotel"), Step::Index(index), Step::Key(key)];
            let path = [&head[..], &inner].concat();
            list.push(Problem::at(source, &path, "CFG-026", why, hint));
        };
        if let Some((key, why)) = hotel.complaint() {
            complain(
                key,
                format!("`{key}` {why}"),
                "see docs/opera.md for an example",
            );
        }
        let twice = !codes.insert(&hotel.code) | !ids.insert(hotel.id());
        if twice {
            let why = format!("`{}` is there twice", hotel.code);
            complain("code", why, "give each hotel a code and an id of its own");
        }
        let mut keys = config.identity.api_key.iter();
        if let Some(sender) = &hotel.sender
            && !keys.any(|key| key.name == *sender)
        {
            let why = format!("there is no API key `{sender}`");
            complain("sender", why, "make one with `airside key new`");
        }
    }
}

/// A sender's code has to mean one hotel, and its sender has to exist.
fn hotels(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let mut known = HashSet::new();
    for (index, hotel) in config.supply.hotel.iter().enumerate() {
        let path = |key| {
            [
                Step::Key("supply"),
                Step::Key("hotel"),
                Step::Index(index),
                Step::Key(key),
            ]
        };
        if !known.insert((&hotel.sender, &hotel.code)) {
            list.push(Problem::at(
                source,
                &path("code"),
                "CFG-026",
                format!("`{}` of `{}` is there twice", hotel.code, hotel.sender),
                "give each hotel of a sender a code of its own",
            ));
        }
        let keys = || config.identity.api_key.iter().map(|key| key.name.as_str());
        if !keys().any(|name| name == hotel.sender) {
            let hint = match nearest(&hotel.sender, keys()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "make one with `airside key new`".to_owned(),
            };
            list.push(Problem::at(
                source,
                &path("sender"),
                "CFG-026",
                format!("there is no API key `{}`", hotel.sender),
                hint,
            ));
        }
    }
}

fn archive(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let archive = &config.archive;
    match &archive.url {
        Some(url) if !is_storage(url) => {
            list.push(Problem::at(
                source,
                &[Step::Key("archive"), Step::Key("url")],
                "CFG-024",
                format!("the archive cannot be written to {url}"),
                "write file:///folder, with the whole path of the folder, or s3://bucket/prefix",
            ));
        }
        Some(url) if url.scheme() == "file" && archive.access() != Access::default() => {
            list.push(Problem::at(
                source,
                &[Step::Key("archive")],
                "CFG-024",
                "`endpoint`, `region` and `credentials-file` say nothing of a folder".to_owned(),
                "remove them, or write `url = \"s3://bucket/prefix\"`",
            ));
        }
        None if *archive != ArchivePlace::default() => list.push(Problem::at(
            source,
            &[Step::Key("archive")],
            "CFG-024",
            "there is no archive without `url`".to_owned(),
            "add `url = \"file:///folder\"`, or remove [archive]",
        )),
        Some(_) | None => {}
    }
    for (section, file, kms) in [
        ("archive", "key-file", (&archive.key_file, &archive.kms)),
        (
            "keys",
            "vault-file",
            (&config.keys.vault_file, &config.keys.kms),
        ),
    ] {
        let (named, Some(kms)) = kms else { continue };
        let path = [Step::Key(section), Step::Key("kms")];
        if named.is_some() {
            list.push(Problem::at(
                source,
                &path,
                "CFG-037",
                format!("the key is either in `{file}` or in a service"),
                "remove the one that the data was not written with",
            ));
        }
        let key = KeyAt::new(Some(kms.into()), PathBuf::new());
        if let Err(error) = key.open(false) {
            let fault = error.fault();
            let hint = fault.hint().unwrap_or_default().to_owned();
            let text = error.to_string();
            list.push(Problem::at(source, &path, fault.code(), text, hint));
        }
    }
}

/// Returns whether an archive can be written to `url`, as far as it says itself.
fn is_storage(url: &url::Url) -> bool {
    match url.scheme() {
        "file" => url.to_file_path().is_ok(),
        "s3" => url.has_host(),
        _ => false,
    }
}

fn listener(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let address = config.listen.address;
    if config.identity.anonymous_loopback && !address.ip().is_loopback() {
        list.push(Problem::at(
            source,
            &[Step::Key("listen"), Step::Key("address")],
            "CFG-006",
            format!("anonymous access is on and {address} can be reached from other machines"),
            "listen on 127.0.0.1, or remove `anonymous-loopback` and give callers keys",
        ));
    }
    if let Err(error) = config.listen.check() {
        let problem = of_gateway(source, &[Step::Key("listen")], &error);
        list.push(problem);
    }
    tls(source, config, list);
}

/// Certificates of the listener have to be usable, and those of clients have to have a
/// way here.
fn tls(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let path = [Step::Key("listen"), Step::Key("tls")];
    let platforms = &config.identity.certificate;
    let asked = match &config.listen.tls {
        Some(tls) => {
            if let Err(error) = Keys::load(tls) {
                let reason = std::error::Error::source(&error);
                let reason = reason.map(|reason| format!(": {reason}"));
                list.push(Problem::at(
                    source,
                    &path,
                    "CFG-030",
                    format!("{error}{}", reason.unwrap_or_default()),
                    "give PEM files with a certificate chain and its own private key",
                ));
            }
            if tls.client_certificates == ClientCertificates::Required && platforms.is_empty() {
                list.push(Problem::at(
                    source,
                    &path,
                    "CFG-031",
                    TlsError::Nobody.to_string(),
                    "add [[identity.certificate]], or remove `client-certificates`",
                ));
            }
            tls.client_certificates != ClientCertificates::Off
        }
        None => false,
    };
    let forwarded = config.identity.proxy.client_certificate.is_some();
    if !platforms.is_empty() && !asked && !forwarded {
        list.push(Problem::at(
            source,
            &[Step::Key("identity"), Step::Key("certificate")],
            "CFG-031",
            "no client can show a certificate".to_owned(),
            "add [listen.tls], or `client-certificate` to [identity.proxy] if a proxy ends TLS",
        ));
    }
}

fn identity(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let outside = Outside::offline(Arc::new(SystemClock::new()));
    let Err(error) = Identity::new(&config.identity, &outside) else {
        return;
    };
    let position = match &error {
        ConfigError::DuplicateName { name, .. }
        | ConfigError::DuplicateKey { name }
        | ConfigError::Previous { name, .. } => config
            .identity
            .api_key
            .iter()
            .rposition(|key| key.name == *name),
        _ => None,
    };
    let part = match &error {
        ConfigError::DuplicatePlatform { .. } | ConfigError::Certificate(_) => "certificate",
        ConfigError::Proxy(_) => "proxy",
        ConfigError::Token(error) => error.table(),
        ConfigError::Signature(error) => error.table(),
        ConfigError::Range(_) => "ip-range",
        ConfigError::Name { .. }
        | ConfigError::DuplicateName { .. }
        | ConfigError::DuplicateKey { .. }
        | ConfigError::Previous { .. } => "api-key",
    };
    let mut path = vec![Step::Key("identity"), Step::Key(part)];
    path.extend(position.map(Step::Index));
    let fault = error.fault();
    list.push(Problem::at(
        source,
        &path,
        fault.code(),
        fault.public().to_owned(),
        fault
            .hint()
            .unwrap_or("use letters, digits, `-`, `_` and `.`")
            .to_owned(),
    ));
}

fn control(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let path = [Step::Key("control"), Step::Key("address")];
    let Some(address) = config.control.address else {
        return;
    };
    if !address.ip().is_loopback() {
        list.push(Problem::at(
            source,
            &path,
            "CFG-013",
            format!("the control API may only listen on a loopback address, not {address}"),
            "use 127.0.0.1 and reach it from elsewhere through a tunnel",
        ));
    }
    if config.control.grant.is_empty() && config.control.upstream.is_empty() {
        list.push(Problem::at(
            source,
            &path,
            "CFG-015",
            "nobody holds a role, so the control API over TCP would refuse everyone".to_owned(),
            "add [[control.grant]] with a group of an API key, or remove `address`",
        ));
    }
    if same_port(address, config.listen.address) {
        list.push(Problem::at(
            source,
            &path,
            "CFG-016",
            format!("the control API and the gateway cannot both listen on {address}"),
            "choose another port",
        ));
    }
}

fn same_port(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || other.ip().is_unspecified())
}

/// Places what the gateway says about the table at `path`.
fn of_gateway(source: &Source, path: &[Step<'_>], error: &gateway::Error) -> Problem {
    use gateway::Error;
    let (code, key, hint) = match error {
        Error::NoKind { .. } | Error::SeveralKinds { .. } => (
            "CFG-012",
            None,
            "give `url`, or `command`, or `builtin = \"travel\"`, and one of them only".to_owned(),
        ),
        Error::UrlParts { .. } | Error::Scheme { .. } => (
            "CFG-017",
            Some("url"),
            "write it as https://host/path".to_owned(),
        ),
        Error::PlainHttp { .. } => (
            "CFG-007",
            Some("url"),
            "use https, or set `allow-plain-http = true` where the network is trusted".to_owned(),
        ),
        Error::Auth(error) => {
            let fault = error.fault();
            let hint = fault.hint().unwrap_or_default().to_owned();
            (fault.code(), Some("auth"), hint)
        }
        Error::Zero { key } => (
            "CFG-018",
            Some(*key),
            "remove the key to take the default".to_owned(),
        ),
        Error::HeaderBuffer => (
            "CFG-018",
            Some("max-header-bytes"),
            "remove the key to take the default".to_owned(),
        ),
        Error::Path { .. } => (
            "CFG-019",
            Some("path"),
            "write it as /mcp or /mcp/name".to_owned(),
        ),
        Error::SamePath { .. } => (
            "CFG-008",
            Some("path"),
            "give each endpoint a path of its own".to_owned(),
        ),
        Error::SameName { .. } => (
            "CFG-010",
            Some("name"),
            "give each upstream a name of its own".to_owned(),
        ),
        Error::NoUpstream { .. } => (
            "CFG-014",
            Some("upstreams"),
            "name at least one upstream".to_owned(),
        ),
        Error::UnknownUpstream { .. } => (
            "CFG-009",
            Some("upstreams"),
            "add [[upstream]] with this name".to_owned(),
        ),
        Error::UnknownBuiltin { .. } => (
            "CFG-020",
            Some("builtin"),
            format!("there is: {}", BUILTINS.join(", ")),
        ),
        Error::Origin { .. } => (
            "CFG-021",
            Some("allowed-origins"),
            "write scheme, host and port only, such as https://app.example".to_owned(),
        ),
    };
    let mut path = path.to_vec();
    path.extend(key.map(Step::Key));
    Problem::at(source, &path, code, error.to_string(), hint)
}
