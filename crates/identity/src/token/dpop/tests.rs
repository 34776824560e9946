use airside_testkit::idp::{Kind, Signer, ath, proof};
use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::*;
use crate::{Attestation, Caller, CallerKind, Claim};

const NOW: i64 = 1_795_000_000;
const URL: &str = "https://mcp.example.com/mcp";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn wanted(key: &str) -> Wanted<'_> {
    Wanted {
        method: "POST",
        url: URL,
        token: TOKEN.as_bytes(),
        key,
        needs_nonce: false,
    }
}

/// Judges a proof with `more` claims.
fn check(more: &Value, expected: &Result<(), Wrong>) {
    let key = Signer::new(Kind::Es256, "k");
    let text = proof(&key, URL, TOKEN, NOW, more.clone());
    let thumbprint = key.thumbprint();
    let found = Proofs::new().check(text.as_bytes(), wanted(&thumbprint), at(NOW));
    assert_eq!(&found.map(drop), expected, "{more}");
}

/// RFC 9449, section 7.1: the proof of figure 12 for the token of that section.
#[test]
fn proof_of_the_specification_is_accepted_once_in_its_time() {
    let text = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik",
        "VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRn",
        "MiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQS",
        "IsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR",
        "0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZ",
        "XNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV",
        "0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRi",
        "mPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    );
    let wanted = Wanted {
        method: "GET",
        url: "https://resource.example.org/protectedresource",
        // RFC 9449, section 6.1.
        key: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ..wanted("")
    };
    let made = 1_562_262_618;
    let proofs = Proofs::new();
    let check = |wanted, second| proofs.check(text.as_bytes(), wanted, at(second)).map(drop);
    let late = Err(Wrong::Proof("`iat` is too far from now"));
    assert_eq!(check(wanted, made + WINDOW_S + 1), late);
    assert_eq!(check(wanted, made - WINDOW_S - 1), late);
    let other = Wanted {
        key: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J",
        ..wanted
    };
    assert_eq!(
        check(other, made),
        Err(Wrong::Proof("its key is not the one of the token"))
    );
    assert_eq!(check(wanted, made), Ok(()));
    assert_eq!(check(wanted, made), Err(Wrong::Replayed));
    assert_eq!(check(wanted, made + WINDOW_S), Err(Wrong::Replayed));
}

#[test]
fn proof_is_for_this_request_and_token() {
    check(&json!({}), &Ok(()));
    let method = Err(Wrong::Proof("`htm` is not the method of the request"));
    check(&json!({"htm": "GET"}), &method);
    check(&json!({"htm": "post"}), &method);
    let url = Err(Wrong::Proof("`htu` is not the public URL of the endpoint"));
    for other in [
        "https://mcp.example.com/mcp2",
        "http://mcp.example.com/mcp",
        "https://evil.example/mcp",
        "https://mcp.example.com:444/mcp",
        "mcp",
    ] {
        check(&json!({"htu": other}), &url);
    }
    for same in [
        "https://mcp.example.com:443/mcp",
        "https://MCP.example.com/mcp",
        "https://mcp.example.com/mcp?x=1#y",
    ] {
        check(&json!({"htu": same}), &Ok(()));
    }
    let token = Err(Wrong::Proof("`ath` is not the digest of the token"));
    check(&json!({"ath": ath("another")}), &token);
    check(&json!({"ath": null}), &token);
    let id = Err(Wrong::Proof("it has no `jti` of 1 to 256 bytes"));
    check(&json!({"jti": null}), &id);
    check(&json!({"jti": "x".repeat(257)}), &id);
    check(&json!({"iat": null}), &Err(Wrong::Proof("it has no `iat`")));
    check(&json!({"iat": NOW - WINDOW_S}), &Ok(()));
    check(
        &json!({"iat": i64::MIN}),
        &Err(Wrong::Proof("`iat` is too far from now")),
    );
}

#[test]
fn proof_is_a_signed_token_of_its_kind_with_a_public_key() {
    let key = Signer::new(Kind::Es256, "k");
    let thumbprint = key.thumbprint();
    let good = proof(&key, URL, TOKEN, NOW, json!({}));
    let payload = good.split('.').nth(1).unwrap();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let judge = |text: &str| {
        let found = Proofs::new().check(text.as_bytes(), wanted(&thumbprint), at(NOW));
        found.map(drop)
    };
    assert_eq!(judge(&good), Ok(()));
    let mut private = key.bare();
    private["d"] = json!("AA");
    for (header, said) in [
        (
            json!({"typ": "at+jwt", "jwk": key.bare()}),
            "its `typ` is not `dpop+jwt`",
        ),
        (json!({"jwk": key.bare()}), "its `typ` is not `dpop+jwt`"),
        (
            json!({"typ": "dpop+jwt"}),
            "it holds no public key that is accepted",
        ),
        (
            json!({"typ": "dpop+jwt", "jwk": private}),
            "it holds no public key that is accepted",
        ),
        (
            json!({"typ": "dpop+jwt", "jwk": {"kty": "oct", "k": "AA"}}),
            "it holds no public key that is accepted",
        ),
        (
            json!({"typ": "dpop+jwt", "jwk": Signer::new(Kind::Es256, "").bare()}),
            "its signature is wrong",
        ),
        (
            json!({"typ": "dpop+jwt", "alg": "none", "jwk": key.bare()}),
            "it is no signed token",
        ),
    ] {
        assert_eq!(
            judge(&key.sign(&header, &claims)),
            Err(Wrong::Proof(said)),
            "{header}"
        );
    }
    assert_eq!(judge("x"), Err(Wrong::Proof("it is no signed token")));
}

#[test]
fn number_is_ours_and_fresh() {
    let key = Signer::new(Kind::Es256, "k");
    let thumbprint = key.thumbprint();
    let proofs = Proofs::new();
    let judge = |nonce: Value, now: i64| {
        let text = proof(&key, URL, TOKEN, now, json!({"nonce": nonce}));
        let wanted = Wanted {
            needs_nonce: true,
            ..wanted(&thumbprint)
        };
        proofs.check(text.as_bytes(), wanted, at(now)).map(drop)
    };
    let nonce = proofs.nonce(at(NOW));
    assert_eq!(judge(json!(nonce), NOW), Ok(()));
    assert_eq!(judge(json!(nonce), NOW + NONCE_S), Ok(()));
    assert_eq!(judge(json!(nonce), NOW + 2 * NONCE_S), Err(Wrong::Nonce));
    assert_eq!(judge(Value::Null, NOW), Err(Wrong::Nonce));
    assert_eq!(
        judge(json!(Proofs::new().nonce(at(NOW))), NOW),
        Err(Wrong::Nonce)
    );
}

#[test]
fn digest_of_the_body_becomes_an_obligation() {
    let key = Signer::new(Kind::Es256, "k");
    let thumbprint = key.thumbprint();
    let judge = |text: &str| {
        let text = proof(&key, URL, TOKEN, NOW, json!({"content_digest": text}));
        Proofs::new().check(text.as_bytes(), wanted(&thumbprint), at(NOW))
    };
    let digest = digest::digest(&digest::SHA256, b"{ \"a\": 1.50 }");
    let found = judge(&format!("sha-256=:{}:", BASE64_STANDARD.encode(digest)))
        .unwrap()
        .unwrap();
    let claim = || {
        let caller = Caller::new(
            CallerKind::Token,
            "a",
            "t".parse().unwrap(),
            Attestation::OAuth,
            vec![],
        );
        Claim::from(caller).with_body(found.clone())
    };
    assert!(claim().check_body(b"{ \"a\": 1.50 }").is_ok());
    assert!(claim().check_body(b"{\"a\":1.5}").is_err());
    for bad in [
        "",
        "sha-256=AA",
        "sha-256=:AA:",
        "sha-512=:AA:",
        "sha-256=:AA==:, x=:AA==:",
    ] {
        let expected = Wrong::Proof("`content_digest` is not `sha-256=:…:`");
        assert_eq!(judge(bad), Err(expected), "{bad}");
    }
}
