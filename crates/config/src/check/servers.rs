//! Refuses servers, endpoints, tools and keys that are unsafe or cannot work.

use std::collections::HashSet;

use airside_gateway::config::{self as gateway, Endpoint, Kind, Upstream};
use airside_identity::ConfigError;
use airside_screen::terminal::nearest;

use super::{BUILTINS, of_gateway};
use crate::{
    config::Config,
    problem::Problem,
    source::{Source, Step},
};

pub(super) fn upstreams(source: &Source, upstreams: &[Upstream], list: &mut Vec<Problem>) {
    let mut names = HashSet::new();
    for (index, upstream) in upstreams.iter().enumerate() {
        let path = [Step::Key("upstream"), Step::Index(index)];
        if !names.insert(&upstream.name) {
            let error = gateway::Error::SameName {
                name: upstream.name.clone(),
            };
            list.push(of_gateway(source, &path, &error));
        }
        match upstream.kind() {
            Ok(Kind::Builtin(builtin)) if !BUILTINS.contains(&builtin) => {
                let error = gateway::Error::UnknownBuiltin {
                    name: upstream.name.clone(),
                    builtin: builtin.to_owned(),
                };
                list.push(of_gateway(source, &path, &error));
            }
            Ok(_) => {
                if let Err(error) = upstream.check_credentials() {
                    list.push(of_gateway(source, &path, &error.into()));
                }
            }
            Err(error) => list.push(of_gateway(source, &path, &error)),
        }
    }
}

pub(super) fn endpoints(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    if config.endpoint.is_empty() {
        list.push(Problem::at(
            source,
            &[],
            "CFG-014",
            "there is no endpoint, so nothing would be served".to_owned(),
            "add [[endpoint]] with `path = \"/mcp\"` and `upstreams = [\"…\"]`",
        ));
    }
    let mut paths = HashSet::new();
    for (index, endpoint) in config.endpoint.iter().enumerate() {
        let path = [Step::Key("endpoint"), Step::Index(index)];
        if !paths.insert(&endpoint.path) {
            let error = gateway::Error::SamePath {
                path: endpoint.path.clone(),
            };
            list.push(of_gateway(source, &path, &error));
        }
        if endpoint.upstreams.is_empty() {
            let error = gateway::Error::NoUpstream {
                path: endpoint.path.clone(),
            };
            list.push(of_gateway(source, &path, &error));
        }
        known_upstreams(source, config, (index, endpoint), list);
    }
}

pub(super) fn known_upstreams(
    source: &Source,
    config: &Config,
    (index, endpoint): (usize, &Endpoint),
    list: &mut Vec<Problem>,
) {
    let names = || {
        config
            .upstream
            .iter()
            .map(|upstream| upstream.name.as_str())
    };
    for (position, name) in endpoint.upstreams.iter().enumerate() {
        if names().any(|known| known == name.as_str()) {
            continue;
        }
        let hint = match nearest(name.as_str(), names()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("add [[upstream]] with `name = \"{name}\"`"),
        };
        list.push(Problem::at(
            source,
            &[
                Step::Key("endpoint"),
                Step::Index(index),
                Step::Key("upstreams"),
                Step::Index(position),
            ],
            "CFG-009",
            format!("there is no upstream `{name}`"),
            hint,
        ));
    }
}

/// What is said about tools has to be about a server that is there.
pub(super) fn tools(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    for (index, tool) in config.tool.iter().enumerate() {
        let names = || {
            config
                .upstream
                .iter()
                .map(|upstream| upstream.name.as_str())
        };
        if names().any(|known| known == tool.upstream.as_str()) {
            continue;
        }
        let hint = match nearest(tool.upstream.as_str(), names()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("add [[upstream]] with `name = \"{}\"`", tool.upstream),
        };
        list.push(Problem::at(
            source,
            &[Step::Key("tool"), Step::Index(index), Step::Key("upstream")],
            "CFG-009",
            format!("there is no upstream `{}`", tool.upstream),
            hint,
        ));
    }
}

/// Checks the keys by which upstream servers keep conversations.
pub(super) fn upstream_keys(source: &Source, config: &Config, list: &mut Vec<Problem>) {
    let keys = &config.control.upstream;
    let mut known: HashSet<_> = config.identity.api_key.iter().map(|k| k.sha256).collect();
    for (index, key) in keys.iter().enumerate() {
        let at = |name| {
            let control = [Step::Key("control"), Step::Key("upstream")];
            [&control[..], &[Step::Index(index), Step::Key(name)]].concat()
        };
        if config.control.address.is_none() {
            list.push(Problem::at(
                source,
                &at("upstream"),
                "CFG-025",
                "an upstream server reaches the control API over TCP only".to_owned(),
                "add `address = \"127.0.0.1:7401\"` to [control]",
            ));
        }
        if !config
            .upstream
            .iter()
            .any(|known| known.name == key.upstream)
        {
            list.push(Problem::at(
                source,
                &at("upstream"),
                "CFG-009",
                format!("there is no upstream `{}`", key.upstream),
                "name one of [[upstream]]",
            ));
        }
        if !known.insert(key.sha256) {
            let name = key.upstream.to_string();
            let fault = ConfigError::DuplicateKey { name }.fault();
            list.push(Problem::at(
                source,
                &at("sha256"),
                fault.code(),
                fault.public().to_owned(),
                "mint one key per server and tenant with `airside key new --upstream`",
            ));
        }
    }
}
