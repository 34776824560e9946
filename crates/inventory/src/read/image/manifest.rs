//! What images an archive holds, and their layers.

use serde::Deserialize;

use crate::component::bounded;

use super::{MAX_LAYERS, Source};
use crate::read::{Unread, shallow};

/// Most indexes within indexes.
const MAX_INDEXES: usize = 4;
/// Most manifests that are looked at.
const MAX_MANIFESTS: usize = 256;

/// One image.
#[derive(Debug)]
pub(super) struct Image {
    /// Last part of its name, without a tag.
    pub(super) name: Option<String>,
    /// Digest of its manifest.
    pub(super) digest: Option<String>,
    /// What it runs on, such as `linux/amd64`.
    pub(super) platform: String,
    /// The first is below the others.
    pub(super) layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug)]
pub(super) struct Layer {
    /// Where it lies.
    pub(super) blob: String,
    /// Its digest as it lies there.
    pub(super) digest: Option<String>,
    /// The digest of its content, unpacked.
    pub(super) content: Option<String>,
}

impl Image {
    /// Returns what tells it apart from others of the archive.
    pub(super) fn title(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        let parts = [name, &self.platform];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        bounded(&parts.join("@"))
    }
}

#[derive(Deserialize)]
struct Layout {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

/// A manifest or an index: both are called so.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize, Default)]
struct Config {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    rootfs: Rootfs,
}

#[derive(Deserialize, Default)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// An entry of the `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Lists the images of `source`. Of an archive that is both an OCI layout and what
/// `docker save` writes, the layout is read: it has the digests.
pub(super) fn images(source: &Source) -> Result<Vec<Image>, String> {
    let mut images = Vec::new();
    if source.document("oci-layout", None)?.is_some()
        && let Some(index) = source.document("index.json", None)?
    {
        let index: Layout = parse(&index, "index.json")?;
        let mut left = MAX_MANIFESTS;
        for descriptor in &index.manifests {
            described(source, descriptor, None, 0, &mut left, &mut images)?;
        }
    } else if let Some(saved) = source.document("manifest.json", None)? {
        let saved: Vec<Saved> = parse(&saved, "manifest.json")?;
        for image in saved.into_iter().take(MAX_MANIFESTS) {
            images.push(of_docker(source, image)?);
        }
    } else {
        return Err("it is no image: it has neither `oci-layout` nor `manifest.json`".to_owned());
    }
    if images.is_empty() {
        return Err("the archive names no image".to_owned());
    }
    Ok(images)
}

fn parse<'a, T: Deserialize<'a>>(document: &'a [u8], name: &str) -> Result<T, String> {
    let read = || -> Result<T, Unread> {
        let text = std::str::from_utf8(document)?;
        shallow(text)?;
        Ok(serde_json::from_str(text)?)
    };
    read().map_err(|Unread(why)| format!("`{name}` cannot be read: {why}"))
}

/// Returns where the blob with `digest` lies in an OCI layout.
fn blob(digest: &str) -> Result<String, String> {
    let hash = digest.strip_prefix("sha256:").unwrap_or_default();
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("`{}` is no digest that is known", bounded(digest)));
    }
    Ok(format!("blobs/sha256/{hash}"))
}

fn described(
    source: &Source,
    descriptor: &Descriptor,
    name: Option<&str>,
    depth: usize,
    left: &mut usize,
    into: &mut Vec<Image>,
) -> Result<(), String> {
    if depth > MAX_INDEXES || *left == 0 {
        return Err("it has too many indexes and manifests".to_owned());
    }
    *left -= 1;
    let noted = |key: &str| {
        descriptor
            .annotations
            .as_ref()?
            .get(key)
            .map(String::as_str)
    };
    // Where it was built from and what was signed, not an image.
    if noted("vnd.docker.reference.type").is_some() {
        return Ok(());
    }
    let name = noted("io.containerd.image.name")
        .or_else(|| {
            // Some write only a tag here.
            let name = noted("org.opencontainers.image.ref.name");
            name.filter(|name| name.contains(['/', ':']))
        })
        .map(short)
        .or(name);
    let digest = &descriptor.digest;
    let document = source.document(&blob(digest)?, Some(digest))?;
    let document = document.ok_or_else(|| format!("the manifest `{digest}` is missing"))?;
    let manifest: Manifest = parse(&document, digest)?;
    for inner in &manifest.manifests {
        described(source, inner, name, depth + 1, left, into)?;
    }
    let Some(config) = &manifest.config else {
        return Ok(());
    };
    // Charts, signatures and other things are kept in the same form.
    if !config
        .media_type
        .as_deref()
        .is_none_or(|kind| kind.contains("image.config") || kind.contains("container.image"))
    {
        return Ok(());
    }
    if manifest.layers.len() > MAX_LAYERS {
        return Err(format!("an image has more than {MAX_LAYERS} layers"));
    }
    let read = source.document(&blob(&config.digest)?, Some(&config.digest))?;
    let read: Config = match &read {
        Some(read) => parse(read, &config.digest)?,
        None => Config::default(),
    };
    let stated = descriptor.platform.as_ref();
    let platform = stated.map_or_else(
        || platform(&read.os, &read.architecture),
        |p| platform(&p.os, &p.architecture),
    );
    let layers = manifest.layers.iter().map(|layer| {
        Ok(Layer {
            blob: blob(&layer.digest)?,
            digest: Some(layer.digest.clone()),
            content: None,
        })
    });
    into.push(Image {
        name: name.map(str::to_owned),
        digest: Some(digest.clone()),
        platform,
        layers: layers.collect::<Result<_, String>>()?,
    });
    Ok(())
}

fn of_docker(source: &Source, saved: Saved) -> Result<Image, String> {
    if saved.layers.len() > MAX_LAYERS {
        return Err(format!("an image has more than {MAX_LAYERS} layers"));
    }
    let config = source.document(&saved.config, None)?;
    let config = config.ok_or_else(|| "the configuration of the image is missing".to_owned())?;
    let config: Config = parse(&config, "the configuration")?;
    let mut contents = config.rootfs.diff_ids.into_iter();
    let layers = saved.layers.into_iter().map(|blob| Layer {
        blob,
        digest: None,
        content: contents.next(),
    });
    let tag = saved.repo_tags.and_then(|tags| tags.into_iter().next());
    Ok(Image {
        name: tag.as_deref().map(short).map(str::to_owned),
        // Only the digest of its configuration is known, which names no image elsewhere.
        digest: None,
        platform: platform(&config.os, &config.architecture),
        layers: layers.collect(),
    })
}

fn platform(os: &str, architecture: &str) -> String {
    match (os, architecture) {
        ("", "") => String::new(),
        (os, architecture) => bounded(&format!("{os}/{architecture}")),
    }
}

/// Returns the last part of the name of an image, without its tag.
fn short(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}
