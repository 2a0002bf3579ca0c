//! A generic webhook: JSON by a template or of all fields, signed as Standard
//! Webhooks has it: `webhook-id`, `webhook-timestamp` and `webhook-signature`,
//! the HMAC-SHA256 of `ID.TIMESTAMP.BODY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use serde_json::Value;

use super::super::failure::Failure;
use super::super::template::{Template, fields};
use super::{Endpoint, Message, Post, Secret, bearer, json as bytes};

/// Before a secret that is base64, as Standard Webhooks has it.
const PREFIX: &str = "whsec_";

/// What shows the receiver who sends.
pub(super) struct Signed {
    pub(super) secret: Option<Secret>,
    pub(super) token: Option<Secret>,
}

pub(super) fn post(
    message: &Message,
    url: Endpoint,
    template: Option<&Template>,
    signed: Signed,
    now_s: u64,
) -> Result<Post, Failure> {
    let body = match template {
        Some(template) => template.fill(message),
        None => Value::Object(fields(message)),
    };
    let body = bytes(&body);
    let mut headers = vec![
        ("webhook-id", message.id.clone()),
        ("webhook-timestamp", now_s.to_string()),
    ];
    if let Some(secret) = &signed.secret {
        let key = key(secret)?;
        headers.push(("webhook-signature", sign(&key, &message.id, now_s, &body)));
    }
    headers.extend(signed.token.iter().map(bearer));
    Ok(Post {
        endpoint: url,
        headers,
        body,
    })
}

fn sign(key: &[u8], id: &str, now_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{now_s}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64.encode(context.sign()))
}

fn key(secret: &Secret) -> Result<Vec<u8>, Failure> {
    let text = secret.expose();
    match text.strip_prefix(PREFIX) {
        None => Ok(text.as_bytes().to_vec()),
        Some(rest) => BASE64.decode(rest).map_err(|_| {
            Failure::setup(
                format!("the secret begins with {PREFIX}, and what follows is not base64"),
                "give the whole secret, or one that does not begin so",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &key(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(key(&Secret::new("plain words")).unwrap(), b"plain words");
        let why = key(&Secret::new("whsec_hunter2 hunter2"))
            .unwrap_err()
            .to_string();
        assert!(!why.contains("hunter2") && why.contains("whsec_"), "{why}");
    }
}
