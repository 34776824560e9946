//! RFC 9421, appendix B: its keys, messages, bases and signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};

use super::{
    base::{BaseError, Message, Request},
    field::Signatures,
    key::{Algorithm, Key},
};

const RSA_PSS: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----";
const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----";
const ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----";
const SECRET: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

const REQUEST: &str = "POST /foo?param=Value&Pet=dog
Host: example.com
Date: Tue, 20 Apr 2021 02:07:55 GMT
Content-Type: application/json
Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
Content-Length: 18";
const RESPONSE: &str = "200
Date: Tue, 20 Apr 2021 02:07:56 GMT
Content-Type: application/json
Content-Digest: sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:
Content-Length: 23";

fn key(algorithm: Algorithm) -> Key {
    let public = |pem: &str| {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap();
        Key::public(algorithm, spki.to_vec()).unwrap()
    };
    match algorithm {
        Algorithm::Ed25519 => public(ED25519),
        Algorithm::EcdsaP256Sha256 => public(P256),
        Algorithm::RsaPssSha512 => public(RSA_PSS),
        Algorithm::HmacSha256 => Key::shared(&STANDARD.decode(SECRET).unwrap()),
        Algorithm::EcdsaP384Sha384 => panic!("the RFC has none"),
    }
}

/// Reads `text`, hands the message to `look`.
fn message<T>(text: &str, look: impl FnOnce(&Message<'_>, &HeaderMap) -> T) -> T {
    let (start, fields) = text.split_once('\n').unwrap();
    let mut headers = HeaderMap::new();
    for field in fields.lines() {
        let (name, value) = field.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let nothing = HeaderMap::new();
    let status = start.parse::<u16>().ok();
    let (method, target) = match status {
        Some(_) => ("POST", "/foo?param=Value&Pet=dog"),
        None => start.split_once(' ').unwrap(),
    };
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let host = headers.get("host").map(|host| host.to_str().unwrap());
    let request = Request {
        method: &method,
        scheme: "https",
        authority: host.unwrap_or("example.com"),
        path,
        query,
        headers: if status.is_some() { &nothing } else { &headers },
    };
    let response = status.map(|status| (status, &headers));
    look(&Message { request, response }, &headers)
}

/// Checks one signature of a message; it is good with the right key only, and only as
/// it is.
fn check(text: &str, input: &str, signature: &str, algorithm: Algorithm, good: bool) {
    let signed = format!("{text}\nSignature-Input: {input}\nSignature: {signature}");
    message(&signed, |message, headers| {
        let all = Signatures::read(headers).unwrap().unwrap();
        let signature = all.iter().next().unwrap();
        let base = message.base(&signature.covered).unwrap();
        let key = key(algorithm);
        assert_eq!(
            key.verifies(base.as_bytes(), &signature.value),
            good,
            "{base}"
        );
        assert!(!key.verifies(format!("{base} ").as_bytes(), &signature.value));
        assert!(!key.verifies(base.as_bytes(), &signature.value[1..]));
    });
}

#[test]
fn b_2_1_minimal_signature() {
    check(
        REQUEST,
        r#"sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
        "sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:",
        Algorithm::RsaPssSha512,
        true,
    );
}

#[test]
fn b_2_2_selected_components() {
    check(
        REQUEST,
        r#"sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
        "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:",
        Algorithm::RsaPssSha512,
        true,
    );
}

#[test]
fn b_2_3_full_coverage() {
    check(
        REQUEST,
        r#"sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
        "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:",
        Algorithm::RsaPssSha512,
        true,
    );
}

#[test]
fn b_2_4_response() {
    check(
        RESPONSE,
        r#"sig-b24=("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256""#,
        "sig-b24=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==:",
        Algorithm::EcdsaP256Sha256,
        true,
    );
}

#[test]
fn b_2_5_shared_secret() {
    check(
        REQUEST,
        r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
        "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
        Algorithm::HmacSha256,
        true,
    );
}

#[test]
fn b_2_6_ed25519() {
    check(
        REQUEST,
        r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
        Algorithm::Ed25519,
        true,
    );
}

#[test]
fn section_3_2_verification() {
    check(
        REQUEST,
        r#"sig1=("@method" "@authority" "@path" "content-digest" "content-length" "content-type");created=1618884473;keyid="test-key-rsa-pss""#,
        "sig1=:HIbjHC5rS0BYaa9v4QfD4193TORw7u9edguPh0AW3dMq9WImrlFrCGUDih47vAxi4L2YRZ3XMJc1uOKk/J0ZmZ+wcta4nKIgBkKq0rM9hs3CQyxXGxHLMCy8uqK488o+9jrptQ+xFPHK7a9sRL1IXNaagCNN3ZxJsYapFj+JXbmaI5rtAdSfSvzPuBCh+ARHBmWuNo1UzVVdHXrl8ePL4cccqlazIJdC4QEjrF+Sn4IxBQzTZsL9y9TP5FsZYzHvDqbInkTNigBcE9cKOYNFCn4D/WM7F6TNuZO9EgtzepLWcjTymlHzK7aXq6Am6sfOrpIC49yXjj3ae6HRalVc/g==:",
        Algorithm::RsaPssSha512,
        true,
    );
}

#[test]
fn b_3_client_certificate_of_a_proxy() {
    check(
        "POST /foo?param=Value&Pet=dog
Host: service.internal.example
Date: Tue, 20 Apr 2021 02:07:55 GMT
Content-Type: application/json
Content-Length: 18
Client-Cert: :MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:",
        r#"ttrp=("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256""#,
        "ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:",
        Algorithm::EcdsaP256Sha256,
        true,
    );
}

#[test]
fn b_4_transformations() {
    for (text, good) in [
        (
            "GET /demo?name1=Value1&Name2=value2\nHost: example.org\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nAccept: application/json\nAccept: */*",
            true,
        ),
        (
            "GET /demo?name1=Value1&Name2=value2&param=added\nHost: example.org\nAccept: application/json\nAccept: */*\nAccept-Language: en-US,en;q=0.5",
            true,
        ),
        (
            "GET /demo?name1=Value1&Name2=value2\nHost: example.org\nReferer: https://developer.example.org/demo\nAccept: application/json, */*",
            true,
        ),
        (
            "GET /demo?name1=Value1&Name2=value2\nAccept: application/json\nAccept: */*\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nHost: example.org",
            true,
        ),
        (
            "POST /demo?name1=Value1&Name2=value2\nHost: example.com\nAccept: application/json\nAccept: */*",
            false,
        ),
        (
            "GET /demo?name1=Value1&Name2=value2\nHost: example.org\nAccept: */*\nAccept: application/json",
            false,
        ),
    ] {
        check(
            text,
            r#"transform=("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#,
            "transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:",
            Algorithm::Ed25519,
            good,
        );
    }
}

/// The two requests of the Web Bot Auth drafts that name no agent. Their signatures are
/// good; whose they are is another question.
#[test]
fn web_bot_auth_without_an_agent() {
    check(
        REQUEST,
        r#"sig1=("@authority");created=1735689600;keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";alg="ed25519";expires=4889289600;nonce="zIW8+cdmA3vdYagbxojpONwa/l0EKJ/O3/wD486VvsQjO/RxPaSt6ZxvQaMcQzNnqKN/mQ6hpGiFro2L2qkz5A==";tag="web-bot-auth""#,
        "sig1=:QKN4fTdIYfh82fvoZCQiQA1weuozfCS/Led2zTMbewMMqH8PI2Wsy/5c4ao6B6D09nraNQdBNOADg8aM1MqfCg==:",
        Algorithm::Ed25519,
        true,
    );
    check(
        REQUEST,
        r#"sig1=("@authority");created=1735689600;keyid="oD0HwocPBSfpNy5W3bpJeyFGY_IQ_YpqxSjQ3Yd-CLA";alg="rsa-pss-sha512";expires=4889289600;nonce="JojDFWJ90jf+gZhdKeTyJYsu1XvNPZSFAGhvYq5SuV3gneOEUAhq+xl792WGuD1W+Dr6NRmx+m+t06NsYnL4iA==";tag="web-bot-auth""#,
        "sig1=:hWPaj85MWQiRkzU4jnIKvdPQiDfMCPIoxOP8nZveNc3aFQ7r/UmXWCwGNImw588iRvTFey5TR3fVEgnXpcttlyK+u5pN831z9Wlr+IMNfub4uEM3SuO+SKFygJZyLG0pf7OAiRcU4C0gyx1BS/+z9ydQTRzDLr88wCkBBRqwGRrSi8HTwxkqg1jugobh93hcnU6gV8MK1n+VnhRprIgl2RQSO6q5cfbB4OS8C4t/8ndW0lYmP2SWzKZJXnpX5Wrj17PuLqnVW6MO8pJnLAMXNvxUdx32KHeq/cHFrzZazZsua3UOoP+k+niHwoQ8bBWj1Vi4mM1mYJK+fk366cCLsQ==:",
        Algorithm::RsaPssSha512,
        true,
    );
}

/// The base over `covered` without its last line, or why there is none.
fn base(text: &str, covered: &str) -> Result<String, BaseError> {
    let signed = format!("{text}\nSignature-Input: s=({covered})\nSignature: s=:AA==:");
    message(&signed, |message, headers| {
        let all = Signatures::read(headers).unwrap().unwrap();
        let base = message.base(&all.iter().next().unwrap().covered)?;
        let (lines, _) = base.rsplit_once("\"@signature-params\"").unwrap();
        Ok(lines.strip_suffix('\n').unwrap().to_owned())
    })
}

#[test]
fn components_are_derived_as_section_2_shows() {
    let check = |text: &str, covered: &str, expected: &str| {
        assert_eq!(base(text, covered).unwrap(), expected);
    };
    let request = "GET /path?param=value&foo=bar&baz=batman&qux=\nHost: www.example.com
X-OWS-Header:   Leading and trailing whitespace.
Cache-Control: max-age=60
Cache-Control:    must-revalidate
Example-Dict:  a=1,    b=2;x=1;y=2,   c=(a   b   c)
X-Empty:";
    check(
        request,
        "\"@target-uri\"",
        "\"@target-uri\": https://www.example.com/path?param=value&foo=bar&baz=batman&qux=",
    );
    check(request, "\"@scheme\"", "\"@scheme\": https");
    check(
        request,
        "\"@request-target\"",
        "\"@request-target\": /path?param=value&foo=bar&baz=batman&qux=",
    );
    check(
        request,
        "\"@query-param\";name=\"baz\"",
        "\"@query-param\";name=\"baz\": batman",
    );
    check(
        request,
        "\"@query-param\";name=\"qux\"",
        "\"@query-param\";name=\"qux\": ",
    );
    check(
        request,
        "\"x-ows-header\"",
        "\"x-ows-header\": Leading and trailing whitespace.",
    );
    check(
        request,
        "\"cache-control\"",
        "\"cache-control\": max-age=60, must-revalidate",
    );
    check(request, "\"x-empty\"", "\"x-empty\": ");
    for (key, value) in [("a", "1"), ("b", "2;x=1;y=2"), ("c", "(a b c)")] {
        let covered = format!("\"example-dict\";key=\"{key}\"");
        check(request, &covered, &format!("{covered}: {value}"));
    }
    check(
        "GET /p?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something\nHost: a",
        "\"@query-param\";name=\"var\" \"@query-param\";name=\"bar\" \"@query-param\";name=\"fa%C3%A7ade%22%3A%20\"",
        "\"@query-param\";name=\"var\": this%20is%20a%20big%0Amultiline%20value
\"@query-param\";name=\"bar\": with%20plus%20whitespace
\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\": something",
    );
    check("GET /p\nHost: a", "\"@query\"", "\"@query\": ?");
    check(
        "GET /p\nHost: a\nX-List: a\nX-List: b, c",
        "\"x-list\";bs",
        "\"x-list\";bs: :YQ==:, :YiwgYw==:",
    );
    check(
        REQUEST,
        "\"content-digest\";sf",
        &format!(
            "\"content-digest\";sf: {}",
            REQUEST.lines().nth(4).unwrap().split_once(": ").unwrap().1
        ),
    );
}

#[test]
fn what_cannot_be_signed_has_no_base() {
    let refused = |covered: &str, absent: bool| {
        let error = base(REQUEST, covered).unwrap_err();
        assert_eq!(
            matches!(error, BaseError::Absent(_)),
            absent,
            "{covered} {error:?}"
        );
    };
    for covered in [
        "\"@status\"",
        "\"@nothing\"",
        "\"@signature-params\"",
        "\"@method\";req",
        "\"@method\";name=\"a\"",
        "\"@query-param\"",
        "\"Date\"",
        "\"date\";sf",
        "\"date\";tr",
        "\"date\";bs;sf",
        "date",
        "\"@query-param\";name=\"none\"",
    ] {
        refused(covered, false);
    }
    refused("\"x-absent\"", true);
    refused("\"content-digest\";key=\"sha-1\"", true);
    assert_eq!(base(REQUEST, "\"date\" \"date\""), Err(BaseError::NotASet));
    let many: Vec<_> = (0..33).map(|number| format!("\"x-{number}\"")).collect();
    assert_eq!(base(REQUEST, &many.join(" ")), Err(BaseError::NotASet));
    let twice = "GET /p?a=1&a=2\nHost: a";
    assert!(base(twice, "\"@query-param\";name=\"a\"").is_err());
}
