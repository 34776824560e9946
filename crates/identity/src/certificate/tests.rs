use airside_base::VirtualClock;
use airside_testkit::pki::{Authority, Issued, Name};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::{
    CertificateHeader, ProxyConfig,
    contract::{self, Sample},
};

const HOST: &str = "mtls.prod.connectors.example";
const WORKLOAD: &str = "spiffe://acme.example/ns/travel/sa/booking";

struct World {
    folder: tempfile::TempDir,
    clock: VirtualClock,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: VirtualClock::new("2026-06-01T00:00:00Z".parse().unwrap()),
            authority: Authority::new("connectors"),
        };
        world.write("ca.pem", &world.authority.pem());
        world
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn config(&self, name: &str) -> CertificateConfig {
        CertificateConfig {
            name: name.to_owned(),
            ca_file: self.folder.path().join("ca.pem"),
            crl_file: None,
            dns: vec![Pattern::new(HOST)],
            uri: vec![Pattern::new("spiffe://acme.example/ns/*/sa/booking")],
            email: vec![],
            tenant: TenantId::default(),
            groups: vec!["assistants".to_owned()],
        }
    }

    fn load(&self, configs: &[CertificateConfig]) -> Arc<Certificates> {
        self.behind(configs, Proxies::default())
    }

    fn behind(&self, configs: &[CertificateConfig], proxies: Proxies) -> Arc<Certificates> {
        Arc::new(Certificates::load(configs, proxies, Arc::new(self.clock.clone())).unwrap())
    }
}

fn shown(issued: &Issued) -> PeerCertificate {
    PeerCertificate::new(vec![issued.der.clone().into()]).unwrap()
}

fn check(certificates: &Arc<Certificates>, issued: &Issued, expected: &str) {
    let verdict = Sample::new().certificate(shown(issued)).judge(certificates);
    assert_eq!(contract::render(&verdict), expected);
}

#[test]
fn keeps_the_contract() {
    let world = World::new();
    let good = Sample::new().certificate(shown(&world.authority.issue(&[Name::Dns(HOST)])));
    contract::channel(&world.load(&[world.config("openai")]), &good);
}

#[test]
fn accepted_names_are_callers_of_their_platform() {
    let world = World::new();
    let certificates = world.load(&[world.config("openai")]);
    let host = world
        .authority
        .issue(&[Name::Dns("other.example"), Name::Dns(HOST)]);
    check(&certificates, &host, "certificate openai mtls");
    let workload = world.authority.issue(&[Name::Uri(WORKLOAD)]);
    check(
        &certificates,
        &workload,
        &format!("certificate openai/{WORKLOAD} mtls"),
    );

    let verdict = Sample::new().certificate(shown(&host)).judge(&certificates);
    let Verdict::Claimed(claim) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(claim.caller().groups(), ["assistants"]);
    let evidence = &claim.caller().evidence()[0];
    assert_eq!(evidence.verifier, "certificate");
    assert_eq!(
        evidence.checked[..2],
        ["chain of openai", &format!("name {HOST}")]
    );
}

#[test]
fn others_are_refused_with_the_reason() {
    let world = World::new();
    let certificates = world.load(&[world.config("openai")]);
    let stranger = Authority::new("stranger").issue(&[Name::Dns(HOST)]);
    check(&certificates, &stranger, "ID-050");
    let same_name = Authority::new("connectors").issue(&[Name::Dns(HOST)]);
    check(&certificates, &same_name, "ID-050");
    let expired = world.authority.issue_until(&[Name::Dns(HOST)], 2026, 2);
    check(&certificates, &expired, "ID-051");
    for name in [
        Name::Dns("other.example"),
        Name::Uri("spiffe://acme.example/ns/travel/sa/other"),
        Name::Email("mtls.prod.connectors.example"),
    ] {
        check(&certificates, &world.authority.issue(&[name]), "ID-053");
    }
    // Of two workloads nobody knows which one it is.
    let two = [
        Name::Uri(WORKLOAD),
        Name::Uri("spiffe://acme.example/ns/a/sa/b"),
    ];
    check(&certificates, &world.authority.issue(&two), "ID-053");
    check(&certificates, &world.authority.issue(&[]), "ID-053");
}

#[test]
fn name_counts_with_its_own_authority_only() {
    let world = World::new();
    let other = Authority::new("partner");
    world.write("partner.pem", &other.pem());
    let mut partner = world.config("partner");
    partner.ca_file = world.folder.path().join("partner.pem");
    partner.dns = vec![Pattern::new("api.partner.example")];
    partner.uri = vec![];
    let certificates = world.load(&[world.config("openai"), partner]);
    check(
        &certificates,
        &other.issue(&[Name::Dns("api.partner.example")]),
        "certificate partner mtls",
    );
    check(&certificates, &other.issue(&[Name::Dns(HOST)]), "ID-053");
    check(
        &certificates,
        &world.authority.issue(&[Name::Dns(HOST)]),
        "certificate openai mtls",
    );
}

#[test]
fn certificate_stops_counting_when_it_expires() {
    let world = World::new();
    let certificates = world.load(&[world.config("openai")]);
    let issued = world.authority.issue_until(&[Name::Dns(HOST)], 2027, 1);
    check(&certificates, &issued, "certificate openai mtls");
    world.clock.step_to("2027-01-02T00:00:00Z".parse().unwrap());
    world.clock.advance(RECHECK);
    check(&certificates, &issued, "ID-051");
}

#[test]
fn revoked_certificates_are_refused() {
    let world = World::new();
    let (good, bad) = (
        world.authority.issue_until(&[Name::Dns(HOST)], 2030, 7),
        world.authority.issue_until(&[Name::Dns(HOST)], 2030, 8),
    );
    world.write("crl.pem", &world.authority.revoke(&[&bad], 2027));
    let mut config = world.config("openai");
    config.crl_file = Some(world.folder.path().join("crl.pem"));
    let certificates = world.load(&[config]);
    check(&certificates, &good, "certificate openai mtls");
    check(&certificates, &bad, "ID-052");
    // A list that nobody renewed vouches for nobody.
    world.clock.step_to("2027-02-01T00:00:00Z".parse().unwrap());
    world.clock.advance(RECHECK);
    check(&certificates, &good, "ID-052");
}

#[test]
fn changed_files_count_at_once_and_broken_ones_never() {
    let world = World::new();
    let certificates = world.load(&[world.config("openai")]);
    let before = world.authority.issue(&[Name::Dns(HOST)]);
    check(&certificates, &before, "certificate openai mtls");
    assert!(!certificates.reload().unwrap());

    world.write("ca.pem", "no certificate");
    assert!(certificates.reload().is_err());
    check(&certificates, &before, "certificate openai mtls");

    let next = Authority::new("next");
    world.write("ca.pem", &next.pem());
    assert!(certificates.reload().unwrap());
    check(&certificates, &before, "ID-050");
    check(
        &certificates,
        &next.issue(&[Name::Dns(HOST)]),
        "certificate openai mtls",
    );
}

#[test]
fn unusable_files_are_refused() {
    let world = World::new();
    let refused = |change: &dyn Fn(&mut CertificateConfig)| {
        let mut config = world.config("openai");
        change(&mut config);
        let clock = Arc::new(world.clock.clone());
        let loaded = Certificates::load(&[config], Proxies::default(), clock);
        assert_eq!(loaded.map(|_| ()).unwrap_err().fault().code(), "ID-065");
    };
    world.write("key.pem", &world.authority.issue(&[]).key_pem());
    let file = |name: &str| world.folder.path().join(name);
    refused(&|config| config.ca_file = file("missing"));
    refused(&|config| config.ca_file = file("key.pem"));
    refused(&|config| config.crl_file = Some(file("ca.pem")));
    refused(&|config| (config.dns, config.uri) = (vec![], vec![]));
}

#[test]
fn more_chains_than_are_kept_are_judged_all_the_same() {
    let world = World::new();
    let certificates = world.load(&[world.config("openai")]);
    let good = world.authority.issue(&[Name::Dns(HOST)]);
    for number in 0..SHARDS * PER_SHARD * 2 {
        let chain = vec![number.to_be_bytes().to_vec().into()];
        let sample = Sample::new().certificate(PeerCertificate::new(chain).unwrap());
        let verdict = sample.judge(&certificates);
        assert_eq!(contract::render(&verdict), "ID-050");
    }
    let kept: usize = certificates
        .judged
        .iter()
        .map(|shard| lock(shard).len())
        .sum();
    assert!(kept <= SHARDS * PER_SHARD, "{kept}");
    check(&certificates, &good, "certificate openai mtls");
}

fn proxies(header: CertificateHeader) -> Proxies {
    Proxies::new(&ProxyConfig {
        addresses: vec!["10.0.0.0/24".to_owned()],
        client_address: None,
        client_certificate: Some(header),
    })
    .unwrap()
}

/// What a proxy at `peer` forwards, judged.
fn forwarded(header: CertificateHeader, peer: &str, fields: &[(&str, String)], expected: &str) {
    let world = World::new();
    let certificates = world.behind(&[world.config("openai")], proxies(header));
    let mut sample = Sample::new().peer(peer);
    for (name, value) in fields {
        let own = STANDARD.encode(&world.authority.issue(&[Name::Dns(HOST)]).der);
        let pem = || {
            let pem = world.authority.issue(&[Name::Dns(HOST)]).pem();
            pem.replace('\n', "%0A")
                .replace('+', "%2B")
                .replace(' ', "%20")
        };
        let value = value
            .replace("DER", &format!(":{own}:"))
            .replace("PEM", &pem())
            .replace("OTHER", &pem());
        sample = sample.header(name, &value);
    }
    assert_eq!(
        contract::render(&sample.judge(&certificates)),
        expected,
        "{fields:?}"
    );
}

#[test]
fn proxies_forward_certificates() {
    use CertificateHeader::{ClientCert as C, XForwardedClientCert as X};
    let cert = |value: &str| [("client-cert", value.to_owned())];
    forwarded(C, "10.0.0.1:1", &cert("DER"), "certificate openai mtls");
    forwarded(
        C,
        "[::ffff:10.0.0.1]:1",
        &cert("DER"),
        "certificate openai mtls",
    );
    forwarded(C, "10.0.0.1:1", &[], "passed");
    let xfcc = |value: &str| [("x-forwarded-client-cert", value.to_owned())];
    for value in [
        "Hash=abc;Cert=\"PEM\";Subject=\"CN=a;b,c\";DNS=evil.example",
        "By=spiffe://x/y;Chain=\"PEM\"",
    ] {
        forwarded(X, "10.0.0.1:1", &xfcc(value), "certificate openai mtls");
    }
}

#[test]
fn header_from_a_stranger_is_refused() {
    use CertificateHeader::{ClientCert as C, XForwardedClientCert as X};
    forwarded(C, "192.0.2.1:1", &[("client-cert", "DER".into())], "ID-055");
    forwarded(C, "127.0.0.1:1", &[("client-cert", "DER".into())], "ID-055");
    let xfcc = "Cert=\"PEM\"".to_owned();
    forwarded(
        X,
        "192.0.2.1:1",
        &[("x-forwarded-client-cert", xfcc.clone())],
        "ID-055",
    );
    // Headers that nobody was configured to send say nothing.
    forwarded(
        C,
        "192.0.2.1:1",
        &[("x-forwarded-client-cert", xfcc)],
        "passed",
    );
}

#[test]
fn what_a_proxy_forwards_has_to_be_one_certificate() {
    use CertificateHeader::{ClientCert as C, XForwardedClientCert as X};
    for value in ["", "text", "DER, DER", "\"DER\"", ":AAAA", "1"] {
        forwarded(C, "10.0.0.1:1", &[("client-cert", value.into())], "ID-054");
    }
    let two = [("client-cert", "DER".into()), ("client-cert", "DER".into())];
    forwarded(C, "10.0.0.1:1", &two, "ID-054");
    forwarded(
        C,
        "10.0.0.1:1",
        &[("client-cert", ":AAAA:".into())],
        "ID-050",
    );
    let long = [
        ("client-cert", "DER".into()),
        ("client-cert-chain", ["DER"; 8].join(", ")),
    ];
    forwarded(C, "10.0.0.1:1", &long, "ID-054");
    for value in [
        "",
        "Hash=abc",
        "Cert=\"PEM\",Cert=\"PEM\"",
        "Cert=\"PEM\";Cert=\"PEM\"",
        "Cert=\"PEM\";Chain=\"OTHER\"",
        "Cert=\"zzz\"",
        "Cert",
    ] {
        forwarded(
            X,
            "10.0.0.1:1",
            &[("x-forwarded-client-cert", value.into())],
            "ID-054",
        );
    }
}

#[test]
fn certificate_of_a_proxy_names_no_caller() {
    let world = World::new();
    let proxies = proxies(CertificateHeader::ClientCert);
    let certificates = world.behind(&[world.config("openai")], proxies);
    let own = shown(&world.authority.issue(&[Name::Dns(HOST)]));
    let through = Sample::new().peer("10.0.0.1:1").certificate(own.clone());
    assert_eq!(contract::render(&through.judge(&certificates)), "passed");
    let direct = Sample::new().peer("192.0.2.1:1").certificate(own);
    assert_eq!(
        contract::render(&direct.judge(&certificates)),
        "certificate openai mtls"
    );
}
