//! What each service gets, at its limits.

use serde_json::{Value, json};

use super::super::message::Step;
use super::super::testing::message;
use super::super::{FailureKind, Template};
use super::*;
use crate::config::{Email, MailTls};

fn to(path: &str) -> Endpoint {
    Endpoint::parse(&format!("https://example.org{path}")).unwrap()
}

fn body(post: &Post) -> Value {
    serde_json::from_slice(&post.body).unwrap()
}

fn units(text: &Value) -> usize {
    text.as_str().unwrap().encode_utf16().count()
}

/// A message whose text is as long as one can be, and full of what means
/// something to somebody.
fn hostile() -> Message {
    let signs = "<!channel> <@U1> @everyone *b* _i_ ~s~ `c` [l](http://x) &amp; # > | \\ \u{1f525}";
    Message {
        title: signs.repeat(40),
        detail: signs.repeat(100),
        ..message()
    }
}

#[test]
fn ntfy_gets_json_within_its_limits_and_its_topic_from_the_url() {
    let post = ntfy::post(&hostile(), to("/t_-9/"), None).unwrap();
    assert_eq!(post.endpoint.path(), "/");
    let body = body(&post);
    assert_eq!(body["topic"], "t_-9");
    assert!(body["message"].as_str().unwrap().len() <= ntfy::MESSAGE_BYTES_MAX);
    assert!(body["message"].as_str().unwrap().len() > ntfy::MESSAGE_BYTES_MAX - 8);
    assert!(body["title"].as_str().unwrap().len() <= ntfy::TITLE_BYTES_MAX);
    for (severity, priority) in Severity::ALL.into_iter().zip([2, 3, 4, 5]) {
        let message = Message {
            severity,
            ..message()
        };
        let post = ntfy::post(&message, to("/t"), None).unwrap();
        assert_eq!(super::tests::body(&post)["priority"], priority);
    }
    assert!(ntfy::post(&message(), to(&format!("/{}", "t".repeat(64))), None).is_ok());
    for path in ["/", "/a.b", "/a%20b", &format!("/{}", "t".repeat(65))] {
        let failure = ntfy::post(&message(), to(path), None).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Setup, "{path}");
    }
}

#[test]
fn telegram_gets_plain_text_within_its_limit() {
    let token = Secret::new("123:abc");
    let post = telegram::post(&hostile(), to("/api/"), &token, "-100", Some(4));
    assert_eq!(post.endpoint.path(), "/api/bot123:abc/sendMessage");
    let big = body(&post);
    assert!(big.get("parse_mode").is_none(), "nothing in it is markup");
    assert_eq!(units(&big["text"]), telegram::TEXT_UNITS_MAX);
    let footer = format!("…\nrelapsed · {}", message().id);
    assert!(big["text"].as_str().unwrap().ends_with(&footer));
    assert_eq!(big["chat_id"], "-100");
    assert_eq!(big["message_thread_id"], 4);
    assert_eq!(big["link_preview_options"], json!({"is_disabled": true}));
    let post = telegram::post(&message(), to("/"), &token, "@c", None);
    let text = body(&post)["text"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("⚠️ app relapsed on gpu-host\nThe same again\n"),
        "{text}"
    );
    let footer = format!("\nrelapsed · {}", message().id);
    assert!(text.ends_with(&footer), "{text}");
    assert_eq!(post.endpoint.path(), "/bot123:abc/sendMessage");
}

#[test]
fn telegram_makes_no_links_of_names_and_commands() {
    let token = Secret::new("123:abc");
    let text = |detail: &str| {
        let detail = detail.to_owned();
        let message = Message {
            detail,
            ..message()
        };
        let post = telegram::post(&message, to("/"), &token, "1", None);
        body(&post)["text"].as_str().unwrap().to_owned()
    };
    let told = text("@all /start a@b (/stop) 1/2 https://h/x");
    assert!(
        told.contains("@\u{2060}all /\u{2060}start a@\u{2060}b (/\u{2060}stop) 1/2 https://h/x\n"),
        "{told:?}"
    );
    assert!(
        told.contains("\nEvidence: /var/lib/log-healer/evidence/"),
        "to be copied"
    );
    assert!(!text("Evidence: x\n/start").contains("\n/start"));
}

#[test]
fn telegram_says_in_its_body_how_long_to_wait_and_what_is_wrong() {
    let judged = |status: u16, body: &str| {
        let answer = Answer {
            status,
            retry_after_ms: None,
            body: body.into(),
        };
        telegram::judge("https://t", &answer).map_err(|f| (f.kind, f.to_string()))
    };
    assert!(judged(200, r#"{"ok":true,"result":{}}"#).is_ok());
    let busy = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#;
    assert_eq!(
        judged(429, busy).unwrap_err().0,
        FailureKind::Later(Some(5_000))
    );
    let moved = r#"{"ok":false,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1007}}"#;
    let (kind, said) = judged(400, moved).unwrap_err();
    assert_eq!(kind, FailureKind::Setup);
    assert!(said.ends_with("set chat_id = -1007"), "{said}");
    for (status, description, kind) in [
        (400, "Bad Request: chat not found", FailureKind::Setup),
        (
            400,
            "Bad Request: message is too long",
            FailureKind::Refused,
        ),
        (
            400,
            "Bad Request: text must be encoded in UTF-8",
            FailureKind::Refused,
        ),
        (
            400,
            "Bad Request: need administrator rights in the channel chat",
            FailureKind::Setup,
        ),
        (
            400,
            "Bad Request: not enough rights to send text messages to the chat",
            FailureKind::Setup,
        ),
        (400, "Bad Request: TOPIC_CLOSED", FailureKind::Setup),
        (
            400,
            "Bad Request: message thread not found",
            FailureKind::Setup,
        ),
        (401, "Unauthorized", FailureKind::Setup),
        (
            403,
            "Forbidden: bot was blocked by the user",
            FailureKind::Setup,
        ),
        (404, "Not Found", FailureKind::Setup),
        (502, "Bad Gateway", FailureKind::Later(None)),
    ] {
        let body = json!({"ok": false, "description": description}).to_string();
        let (is, said) = judged(status, &body).unwrap_err();
        assert_eq!(is, kind, "{said}");
        assert!(said.contains(description), "{said}");
        assert!(!said.contains("  "), "{said}");
    }
    assert_eq!(
        judged(500, "<html>").unwrap_err().0,
        FailureKind::Later(None)
    );
}

#[test]
fn slack_gets_text_that_is_no_markup_and_mentions_nobody() {
    let post = slack::post(&hostile(), to("/services/x"));
    let big = body(&post);
    let text = big["text"].as_str().unwrap();
    assert!(text.chars().count() <= 5 * slack::TEXT_CHARS_MAX);
    assert!(!text.contains('<') && !text.contains('>'));
    assert!(text.contains("&lt;!channel&gt; &lt;@U1&gt;"));
    assert!(text.contains("&amp;amp;"));
    assert_eq!(big["mrkdwn"], false);
    // The most that escaping can make of the longest.
    let worst = Message {
        title: "&".repeat(slack::TEXT_CHARS_MAX),
        ..message()
    };
    let worst = body(&slack::post(&worst, to("/")));
    assert!(worst["text"].as_str().unwrap().chars().count() < 40_000);
    assert_eq!(post.headers[0], ("x-healer-message-id", message().id));
}

#[test]
fn discord_gets_escaped_text_within_its_limits_and_mentions_nobody() {
    let post = discord::post(&hostile(), to("/api/webhooks/1/x"));
    assert_eq!(post.endpoint.path(), "/api/webhooks/1/x?wait=true");
    let big = body(&post);
    assert_eq!(big["allowed_mentions"], json!({"parse": []}));
    let content = big["content"].as_str().unwrap();
    let embed = &big["embeds"][0];
    let description = embed["description"].as_str().unwrap();
    for (text, max) in [
        (content, discord::CONTENT_UNITS_MAX),
        (description, discord::DESCRIPTION_UNITS_MAX),
    ] {
        let length = text.encode_utf16().count();
        assert!(length <= max && length > max - 4, "{length} of {max}");
        // Each sign has its backslash, the last one too.
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => assert!(chars.next().is_some_and(|c| !c.is_alphanumeric())),
                c => assert!(!"*_~`|<>#[]@".contains(c), "{c} stands bare"),
            }
        }
    }
    assert!(content.contains(r"\<\@U1\> \@everyone \*b\*"), "{content}");
    assert_eq!(embed["timestamp"], "2025-10-20T16:47:30Z");
    let threaded = discord::post(&message(), to("/w?thread_id=4"));
    assert_eq!(threaded.endpoint.path(), "/w?thread_id=4&wait=true");
    // A text that just fits is whole; one more is cut.
    let exact = |n: usize| Message {
        title: "a".repeat(n),
        ..message()
    };
    let room = discord::CONTENT_UNITS_MAX - "⚠️ ".encode_utf16().count();
    let content = |n| body(&discord::post(&exact(n), to("/")))["content"].clone();
    assert!(content(room).as_str().unwrap().ends_with('a'));
    assert!(content(room + 1).as_str().unwrap().ends_with('…'));
    assert_eq!(units(&content(room + 1)), discord::CONTENT_UNITS_MAX);
}

#[test]
fn discord_says_in_its_body_how_long_to_wait() {
    let answer = Answer {
        status: 429,
        retry_after_ms: Some(1_000),
        body: r#"{"message":"You are being rate limited.","retry_after":0.65,"global":false}"#
            .into(),
    };
    let failure = discord::judge("https://d", &answer).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Later(Some(650)));
    let gone = Answer {
        status: 404,
        retry_after_ms: None,
        body: r#"{"message": "Unknown Webhook", "code": 10015}"#.into(),
    };
    let failure = discord::judge("https://d", &gone).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Setup);
    assert!(failure.to_string().contains("Unknown Webhook"));
}

#[test]
fn a_webhook_gets_all_fields_or_its_own_json_signed_over_its_very_bytes() {
    let signed = || webhook::Signed {
        secret: Some(Secret::new("key")),
        token: Some(Secret::new("tk")),
    };
    let now_s = 1_760_978_900;
    let post = webhook::post(&message(), to("/h"), None, signed(), now_s).unwrap();
    let all = body(&post);
    assert_eq!(all["id"], message().id);
    assert_eq!(all["figures"], json!(["attempt 2 of 5"]));
    let header = |name: &str| {
        let found = post.headers.iter().find(|(known, _)| *known == name);
        found.unwrap().1.clone()
    };
    assert_eq!(header("webhook-id"), message().id);
    assert_eq!(header("webhook-timestamp"), "1760978900");
    assert_eq!(header("authorization"), "Bearer tk");
    let text = [format!("{}.{now_s}.", message().id).as_bytes(), &post.body].concat();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"key");
    use base64::Engine as _;
    let signature = base64::engine::general_purpose::STANDARD
        .decode(header("webhook-signature").strip_prefix("v1,").unwrap())
        .unwrap();
    ring::hmac::verify(&key, &text, &signature).unwrap();

    let template = Template::parse(r#"{"t": "{{title}}", "n": "{{attempt}}"}"#).unwrap();
    let bare = webhook::Signed {
        secret: None,
        token: None,
    };
    let post = webhook::post(&hostile(), to("/h"), Some(&template), bare, now_s).unwrap();
    assert_eq!(body(&post), json!({"t": hostile().title, "n": 7}));
    assert!(
        post.headers
            .iter()
            .all(|(name, _)| *name != "webhook-signature")
    );
}

#[test]
fn text_is_cut_by_utf16_units_at_the_limit() {
    for (text, max, expected) in [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("\u{1f525}\u{1f525}", 4, "\u{1f525}\u{1f525}"),
        ("\u{1f525}\u{1f525}", 3, "\u{1f525}…"),
        ("\u{1f525}\u{1f525}", 2, "…"),
    ] {
        assert_eq!(cut_utf16(text, max), expected);
    }
}

/// What each of the seven types hands over, without what its own escaping adds.
fn as_each_gets_it(message: &Message) -> Vec<(&'static str, String)> {
    let to_mail = Email {
        host: "mail.example.org".into(),
        port: 25,
        tls: MailTls::Plain,
        ca_file: None,
        from: "healer@example.org".into(),
        to: vec!["ops@example.org".into()],
        login: None,
    };
    let mail = email::mail(message, &to_mail).unwrap().formatted();
    let mail = String::from_utf8(mail).unwrap().replace("\r\n", "\n");
    let unsigned = webhook::Signed {
        secret: None,
        token: None,
    };
    let posts = [
        ("ntfy", ntfy::post(message, to("/t"), None).unwrap()),
        (
            "telegram",
            telegram::post(message, to("/"), &Secret::new("t"), "1", None),
        ),
        ("slack", slack::post(message, to("/"))),
        ("discord", discord::post(message, to("/"))),
        (
            "webhook",
            webhook::post(message, to("/"), None, unsigned, 1).unwrap(),
        ),
    ];
    let mut all: Vec<_> = posts
        .iter()
        .map(|(kind, post)| {
            let headers: Vec<&str> = post.headers.iter().map(|(_, v)| v.as_str()).collect();
            (*kind, format!("{} {}", body(post), headers.join(" ")))
        })
        .collect();
    all.push(("mail", mail));
    let stdin = serde_json::to_string(&crate::notify::template::fields(message)).unwrap();
    all.push(("command", stdin));
    for (_, text) in &mut all {
        *text = text.replace("\\\\", "").replace("=\n", "");
    }
    all
}

#[test]
fn each_step_says_all_of_it_by_each_type() {
    for step in Step::ROUTED {
        let message = Message {
            step,
            severity: step.severity(),
            sample: Some("exec 'reload' exit code 1 no such file".into()),
            ..message()
        };
        for (kind, text) in as_each_gets_it(&message) {
            for piece in [
                "app relapsed on gpu-host",
                "The same again",
                "a5e0a5e0a5e0",
                "cuda-oom",
                "attempt 2 of 5",
                "exec 'reload' exit code 1 no such file",
                "/var/lib/log-healer/evidence/1-7-app.json",
                "next possible restart in 5m",
                "0123456789abcdef0123456789abcdef",
            ] {
                assert!(text.contains(piece), "{kind}: {piece} is not in {text}");
            }
        }
    }
}
