//! A key pair made for one test, for everything that signs tokens or checks them.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

/// What stands in front of the key itself where its algorithm is named too, for 2,048 bits.
const PKCS8_HEAD: usize = 26;

/// A key pair of RSA.
pub(crate) struct Signer {
    pkcs8: Vec<u8>,
}

impl Signer {
    pub(crate) fn fresh() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        Self { pkcs8: der.as_ref().to_vec() }
    }

    fn pkcs1(&self) -> &[u8] {
        &self.pkcs8[PKCS8_HEAD..]
    }

    fn encoding(&self) -> EncodingKey {
        EncodingKey::from_rsa_der(self.pkcs1())
    }

    /// The private key as GitHub hands it out.
    pub(crate) fn pem(&self) -> String {
        pem("RSA PRIVATE KEY", self.pkcs1())
    }

    /// The private key as Google hands it out.
    pub(crate) fn pem_with_algorithm(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    /// The public key, as lists of keys have it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&self.encoding(), Algorithm::RS256).unwrap()).unwrap();
        json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": jwk["n"], "e": jwk["e"]})
    }

    /// A token with these claims.
    pub(crate) fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.encoding()).unwrap()
    }

    /// The claims of a token that this key signed, whatever they say.
    pub(crate) fn claims(&self, token: &str) -> Option<Value> {
        let jwk = self.jwk("any");
        let key = DecodingKey::from_rsa_components(jwk["n"].as_str()?, jwk["e"].as_str()?).ok()?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        jsonwebtoken::decode(token, &key, &validation).ok().map(|decoded| decoded.claims)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A token with any header and no honest signature.
pub(crate) fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()), part(signature))
}
