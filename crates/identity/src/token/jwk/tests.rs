use airside_testkit::idp::{Kind, Signer};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;

/// RFC 7638, section 3.1.
const RSA: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn thumbprint(jwk: &Value) -> Option<String> {
    Key::read(jwk).map(|key| key.thumbprint().to_owned())
}

#[test]
fn thumbprints_are_those_of_the_specifications() {
    let rsa = json!({"kty": "RSA", "n": RSA, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
    assert_eq!(
        thumbprint(&rsa).as_deref(),
        Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    );
    // RFC 8037, appendix A.3.
    let ed =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    assert_eq!(
        thumbprint(&ed).as_deref(),
        Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    );
    let own = Signer::new(Kind::Es256, "k");
    assert_eq!(thumbprint(&own.jwk()), Some(own.thumbprint()));
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let unusable = [
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        // A key and an algorithm that do not go together.
        json!({"kty": "RSA", "n": RSA, "e": "AQAB", "alg": "ES256"}),
        json!({"kty": "RSA", "n": RSA, "e": "AQAB", "alg": "HS256"}),
        json!({"kty": "RSA", "n": RSA, "e": "AQAB", "alg": "RSA-OAEP"}),
    ];
    for jwk in unusable {
        assert_eq!(Key::read(&jwk), None, "{jwk}");
        let set = json!({"keys": [jwk]}).to_string();
        assert_eq!(Keys::read(set.as_bytes()), None);
    }
    let encryption = json!({"keys": [{"kty": "RSA", "n": RSA, "e": "AQAB", "use": "enc"}]});
    assert_eq!(Keys::read(encryption.to_string().as_bytes()), None);
    for junk in [
        "",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": [], "keys": []}"#,
    ] {
        assert_eq!(Keys::read(junk.as_bytes()), None, "{junk}");
    }
}

#[test]
fn every_algorithm_verifies_and_notices_a_change() {
    for kind in [
        Kind::Rs256,
        Kind::Ps256,
        Kind::Es256,
        Kind::Es384,
        Kind::EdDsa,
    ] {
        let signer = Signer::new(kind, "k");
        let set = json!({"keys": [signer.jwk()]}).to_string();
        let keys = Keys::read(set.as_bytes()).unwrap();
        let token = signer.sign(&json!({}), &json!({"sub": "ann"}));
        let verify = |token: &str| keys.verify(&Compact::parse(token.as_bytes()).unwrap());
        assert_eq!(verify(&token), Ok(()), "{kind:?}");
        let other = Signer::new(kind, "k").sign(&json!({}), &json!({"sub": "ann"}));
        assert_eq!(verify(&other), Err(Wrong::Signature), "{kind:?}");
        let unknown = signer.sign(&json!({"kid": "other"}), &json!({}));
        assert_eq!(verify(&unknown), Err(Wrong::UnknownKey), "{kind:?}");
        let nameless = signer.sign(&json!({"kid": null}), &json!({}));
        assert_eq!(verify(&nameless), Ok(()), "{kind:?}");
    }
}

/// RFC 7515, appendices A.2 and A.3, and RFC 8037, appendix A.4.
#[test]
fn signatures_of_the_specifications_are_good() {
    let joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = concat!(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W",
        "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS",
        "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv",
        "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    let n = concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt",
        "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX",
        "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5",
        "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    );
    let ec =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let ed =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    for (jwk, header, payload, signature) in [
        (
            json!({"kty": "RSA", "n": n, "e": "AQAB"}),
            "eyJhbGciOiJSUzI1NiJ9",
            joe,
            rsa,
        ),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            "eyJhbGciOiJFUzI1NiJ9",
            joe,
            ec,
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            ed,
        ),
    ] {
        let set = json!({"keys": [jwk]}).to_string();
        let keys = Keys::read(set.as_bytes()).unwrap();
        let verify = |payload: &str| {
            // What they sign is not always an object, as the claims of a token are.
            let (empty, signed) = (format!("{header}.e30."), format!("{header}.{payload}"));
            let mut token = Compact::parse(empty.as_bytes()).unwrap();
            token.signed = signed.as_bytes();
            token.signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            keys.verify(&token)
        };
        assert_eq!(verify(payload), Ok(()), "{header}");
        let changed = payload.replacen('I', "J", 1);
        assert!(verify(&changed).is_err(), "{header}");
    }
}

#[test]
fn key_decides_the_algorithm() {
    let rsa = Signer::new(Kind::Rs256, "k");
    let set = json!({"keys": [rsa.jwk()]}).to_string();
    let keys = Keys::read(set.as_bytes()).unwrap();
    // Signed with another algorithm than its header says.
    for algorithm in ["ES256", "PS384", "EdDSA"] {
        let token = rsa.sign(&json!({"alg": algorithm}), &json!({}));
        let found = keys.verify(&Compact::parse(token.as_bytes()).unwrap());
        assert!(found.is_err(), "{algorithm}");
    }
    // The public key as a shared secret: there is no algorithm for it.
    for secret in [set.as_bytes(), rsa.jwk().to_string().as_bytes()] {
        let token = Signer::secret("k", secret).sign(&json!({}), &json!({}));
        assert_eq!(
            Compact::parse(token.as_bytes()).err(),
            Some(Wrong::Algorithm)
        );
    }
}

#[test]
fn own_keys_are_public_only() {
    let own = Signer::new(Kind::Es256, "k").bare();
    assert!(Key::read_own(&own).is_some());
    for member in ["d", "k", "p"] {
        let mut with = own.clone();
        with[member] = json!("AA");
        assert!(Key::read_own(&with).is_none(), "{member}");
    }
}
