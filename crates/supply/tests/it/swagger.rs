//! The published Swagger files of OPERA Cloud Distribution 25.5 as a judge of exchanges.

use std::{collections::BTreeMap, fs, io::Read as _, path::PathBuf};

use airside_testkit::opera::Exchange;
use flate2::read::GzDecoder;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

const FILES: [&str; 5] = [
    "distributionauthentication",
    "distributionshop",
    "distributioncontent",
    "distributionreservationbook",
    "distributionaripublication",
];

/// The published files.
pub(crate) struct Published {
    files: Vec<Value>,
    compiled: BTreeMap<String, Validator>,
}

impl Published {
    /// Reads them. They are data beside the repository, which has to be there in CI.
    pub(crate) fn load() -> Option<Self> {
        let shared = std::env::var_os("AIRSIDE_SHARED").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared"),
            PathBuf::from,
        );
        let folder = shared.join("data/travel/specs/oracle-ohip");
        if !folder.is_dir() && std::env::var_os("CI").is_none() {
            return None;
        }
        let read = |name: &str| {
            let packed =
                fs::read(folder.join(format!("{name}.json.gz"))).expect("a published file");
            let mut text = String::new();
            let mut unpacked = GzDecoder::new(packed.as_slice());
            unpacked.read_to_string(&mut text).expect("a gzip file");
            serde_json::from_str(&text).expect("a published file is JSON")
        };
        Some(Self {
            files: FILES.map(read).into(),
            compiled: BTreeMap::new(),
        })
    }

    /// Returns everything in an exchange that is not as it is published.
    pub(crate) fn faults(&mut self, exchange: &Exchange) -> Vec<String> {
        let (path, query) = match exchange.target.split_once('?') {
            Some((path, query)) => (path, query),
            None => (exchange.target.as_str(), ""),
        };
        let method = exchange.method.to_lowercase();
        let Some((file, template)) = self.find(path, &method) else {
            return vec![format!("{method} {path} is not published")];
        };
        let operation = &self.files[file]["paths"][&template][&method];
        let parameters: Vec<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| self.resolved(file, parameter, "parameters").clone())
            .collect();
        let response = &operation["responses"][exchange.status.to_string()];
        let response = self.resolved(file, response, "responses").clone();
        let mut faults = Vec::new();
        if response.is_null() {
            faults.push(format!("{} is no published status", exchange.status));
        }
        for parameter in &parameters {
            self.parameter(file, parameter, (query, exchange), &mut faults);
        }
        let known = |name: &str| {
            let mut known = parameters.iter();
            known.any(|parameter| parameter["in"] == "query" && parameter["name"] == name)
        };
        for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
            if !known(&name) {
                faults.push(format!("`{name}` is no published parameter"));
            }
        }
        if let (Some(schema), Some(answer)) = (response.get("schema"), &exchange.answer) {
            self.body(file, schema, answer, "answer", &mut faults);
        }
        faults
    }

    /// Returns what in a pushed message is not as it is published.
    pub(crate) fn message(&mut self, topic: &str, message: &Value) -> Vec<String> {
        let file = self.files.len() - 1;
        let operation = &self.files[file]["paths"][format!("/{topic}")]["post"];
        let parameters = operation["parameters"]
            .as_array()
            .expect("parameters")
            .clone();
        let mut faults = Vec::new();
        for parameter in parameters {
            let parameter = self.resolved(file, &parameter, "parameters").clone();
            if parameter["in"] == "body" {
                self.body(file, &parameter["schema"], message, topic, &mut faults);
            }
        }
        faults
    }

    fn find(&self, path: &str, method: &str) -> Option<(usize, String)> {
        self.files.iter().enumerate().find_map(|(at, file)| {
            let rest = path.strip_prefix(file["basePath"].as_str()?)?;
            let parts: Vec<_> = rest.split('/').collect();
            let fits = |template: &String| {
                let names: Vec<_> = template.split('/').collect();
                let mut both = names.iter().zip(&parts);
                names.len() == parts.len()
                    && both.all(|(name, part)| name.starts_with('{') || name == part)
            };
            let paths = file["paths"].as_object()?;
            let found = paths
                .keys()
                .find(|path| fits(path) && paths[*path].get(method).is_some());
            Some((at, found?.clone()))
        })
    }

    fn resolved<'a>(&'a self, file: usize, value: &'a Value, section: &str) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap_or_default();
                &self.files[file][section][name]
            }
            None => value,
        }
    }

    fn parameter(
        &mut self,
        file: usize,
        parameter: &Value,
        (query, exchange): (&str, &Exchange),
        faults: &mut Vec<String>,
    ) {
        let name = parameter["name"].as_str().unwrap_or_default();
        let of_query = || {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        let of_head = || {
            let mut headers = exchange.headers.iter();
            let named = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.clone())
        };
        let value = match parameter["in"].as_str() {
            Some("body") => {
                match &exchange.request {
                    Some(body) => {
                        self.body(file, &parameter["schema"], body, "request", faults);
                    }
                    None => faults.push("the body is missing".to_owned()),
                }
                return;
            }
            Some("query") => of_query(),
            Some("header") => of_head(),
            // The path was matched, and forms are not kept.
            _ => return,
        };
        let Some(text) = value else {
            if parameter["required"] == true {
                faults.push(format!("`{name}` is missing"));
            }
            return;
        };
        let typed = |text: &str, kind: &Value| match kind["type"].as_str() {
            Some("integer" | "number") => serde_json::from_str(text).unwrap_or(Value::Null),
            Some("boolean") => json!(text == "true"),
            _ => json!(text),
        };
        let value = match parameter["type"].as_str() {
            Some("array") => {
                let items = text.split(',');
                Value::Array(items.map(|item| typed(item, &parameter["items"])).collect())
            }
            _ => typed(&text, parameter),
        };
        let mut schema = parameter.clone();
        for meta in [
            "name",
            "in",
            "required",
            "description",
            "x-example",
            "collectionFormat",
        ] {
            schema.as_object_mut().expect("a parameter").remove(meta);
        }
        self.body(file, &schema, &value, name, faults);
    }

    fn body(
        &mut self,
        file: usize,
        schema: &Value,
        value: &Value,
        what: &str,
        faults: &mut Vec<String>,
    ) {
        let key = format!("{file} {schema}");
        if !self.compiled.contains_key(&key) {
            let whole = json!({
                "allOf": [schema], "definitions": self.files[file]["definitions"],
            });
            let options = jsonschema::options().with_draft(Draft::Draft4);
            let compiled = options.build(&whole).expect("a published schema");
            self.compiled.insert(key.clone(), compiled);
        }
        let found = self.compiled[&key].iter_errors(value);
        faults.extend(found.map(|error| format!("{what}{}: {error}", error.instance_path())));
    }
}

/// Fails unless every exchange is as it is published.
#[track_caller]
pub(crate) fn check(exchanges: &[Exchange]) {
    let Some(mut published) = Published::load() else {
        return;
    };
    for exchange in exchanges {
        let faults = published.faults(exchange);
        assert!(faults.is_empty(), "{exchange:#?}\n{faults:#?}");
    }
}

#[test]
fn judge_sees_what_is_not_as_published() {
    let Some(mut published) = Published::load() else {
        return;
    };
    let exchange = |target: &str, request: Option<Value>, answer: Value| Exchange {
        method: if request.is_some() { "POST" } else { "GET" }.to_owned(),
        target: target.to_owned(),
        headers: vec![("x-channelCode".to_owned(), "C".to_owned())],
        request,
        status: 200,
        answer: Some(answer),
    };
    let shop = "/shop/v1/hotels/H/offers?arrivalDate=2027-03-01&departureDate=2027-03-02";
    assert_eq!(
        published.faults(&exchange(shop, None, json!({}))),
        Vec::<String>::new()
    );
    for (target, request, answer, expected) in [
        ("/shop/v1/hostels", None, json!({}), "not published"),
        (
            "/shop/v1/hotels/H/offers?arrivalDate=2027-03-01",
            None,
            json!({}),
            "departureDate",
        ),
        (
            "/shop/v1/hotels/H/offers?arrivalDate=2027-03-01&departureDate=2027-03-02&adults=11",
            None,
            json!({}),
            "adults",
        ),
        (
            shop,
            None,
            json!({ "roomStays": [{ "availability": "Maybe" }] }),
            "answer",
        ),
        (
            "/book/v1/hotels/H/reservations",
            Some(json!({})),
            json!([]),
            "request",
        ),
    ] {
        let faults = published.faults(&exchange(target, request, answer));
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{target}: {faults:?}"
        );
    }
}
