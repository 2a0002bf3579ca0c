//! What is masked, what stays readable, and that no planted secret survives.

use proptest::prelude::*;

use super::*;

fn mask(text: &str) -> String {
    Mask::default().text(text)
}

#[test]
fn values_that_a_key_calls_secret_are_masked() {
    for (text, masked) in [
        ("password=hunter2", "password=[masked]"),
        ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=[masked] next"),
        ("password: hunter2, ok", "password: [masked] ok"),
        ("passwd := hunter2", "passwd := [masked]"),
        ("secret => x1", "secret => [masked]"),
        (
            r#"{"password":"hunter 2","a":1}"#,
            r#"{"password":"[masked]","a":1}"#,
        ),
        (r#"{"api_key": "k\"1"}"#, r#"{"api_key": "[masked]"}"#),
        (
            r#"{\"token\":\"abc\",\"n\":1}"#,
            r#"{\"token\":\"[masked]\",\"n\":1}"#,
        ),
        (
            "{'secret': 'a b', 'n': 1}",
            "{'secret': '[masked]', 'n': 1}",
        ),
        ("{'password': b'a b'}", "{'password': b'[masked]'}"),
        (
            "os.environ['HF_TOKEN'] = 'x'",
            "os.environ['HF_TOKEN'] = '[masked]'",
        ),
        ("passwords=['a', 'b'] n=1", "passwords=[masked]] n=1"),
        ("<password>a b</password>", "<password>[masked]</password>"),
        (
            "--password hunter2 --port 1",
            "--password [masked] --port 1",
        ),
        ("--api-key=hunter2", "--api-key=[masked]"),
        ("--use-token --port 1", "--use-token --port 1"),
        ("API key: abc", "API key: [masked]"),
        ("OPENAI_KEY=abc", "OPENAI_KEY=[masked]"),
        ("_auth=abc", "_auth=[masked]"),
        ("?X-Amz-Signature=ab&x=1", "?X-Amz-Signature=ab&x=1"),
        ("sig=ab&x=1", "sig=[masked]"),
        ("Authorization: Basic YTpi", "Authorization: [masked]"),
        (
            r#"curl -H "Authorization: token a" http://x"#,
            r#"curl -H "Authorization: [masked]" http://x"#,
        ),
        (
            "('Authorization', 'Bearer abc')",
            "('Authorization', '[masked]')",
        ),
        ("Set-Cookie: a=b; Path=/", "Set-Cookie: [masked]"),
        (
            "aws_secret_access_key = abc",
            "aws_secret_access_key = [masked]",
        ),
        ("AccountKey=abc;Endpoint=x", "AccountKey=[masked]"),
        ("client_secret=", "client_secret="),
        ("password='unclosed here", "password='[masked]"),
    ] {
        assert_eq!(mask(text), masked);
    }
}

#[test]
fn tokens_urls_and_blocks_are_masked_by_what_they_look_like() {
    let long = "q7Zk2Lw9Xv4Tn8Rb3Ys6Pd1Hf5Gj0MaC";
    for (text, masked) in [
        ("Bearer abc.def-1 end", "Bearer [masked] end"),
        ("basic YWxhZGRpbjpvcGVu", "basic [masked]"),
        ("postgres://u:p@db:5432/x", "postgres://[masked]@db:5432/x"),
        ("https://u:p/w@db/x", "https://[masked]@db/x"),
        (
            "https://ghtoken@github.com/a",
            "https://[masked]@github.com/a",
        ),
        ("got hf_abcdEFGH1234", "got [masked]"),
        ("sk-proj-abcDEF123456 x", "[masked] x"),
        ("(ghp_0123456789abcdefABCD)", "([masked])"),
        ("github_pat_11AAAA_bbbbCCCC", "[masked]"),
        ("xoxb-1234-5678-abcd", "[masked]"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id [masked]"),
        ("glpat-abcdEFGH1234", "[masked]"),
        ("eyJhbGciOiJI.eyJzdWIi.SflKxw", "[masked]"),
        (&format!("got {long}"), "got [masked]"),
        (&format!("{long}=="), "[masked]=="),
        ("5/EwQA99zEEAUpLitGRkFYuK8zbb3bv/", "[masked]"),
        (
            "/srv/shared/q7Zk2Lw9Xv4Tn8Rb3Ys6/training/results/checkpoints/best/output",
            "/srv/shared/[masked]/training/results/checkpoints/best/output",
        ),
        ("oi1aglojwlbzxlfrpghutrknxytl3nyq0", "[masked]"),
        ("WSR2BKKPNTIJLSHRPPP6XAJXJNXSYFZO", "[masked]"),
        (
            "-----BEGIN PRIVATE KEY----- ab -----END PRIVATE KEY----- c",
            "[masked] c",
        ),
    ] {
        assert_eq!(mask(text), masked, "{text}");
    }
}

#[test]
fn a_pem_block_is_masked_over_lines() {
    let mask = Mask::default();
    let mut in_pem = InPem::default();
    let lines = [
        ("key: -----BEGIN RSA PRIVATE KEY-----", "key: [masked]"),
        ("MIIB", "[masked]"),
        ("", ""),
        ("-----END RSA PRIVATE KEY----- done", "[masked] done"),
        ("plain", "plain"),
    ];
    for (line, masked) in lines {
        assert_eq!(mask.line(line, &mut in_pem), masked);
    }
}

#[test]
fn what_people_look_for_stays_readable() {
    for text in [
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 79.15 GiB total)",
        "container a5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42fa5e0cf40f3ab194aa42f1234",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "GPU-8f3a2b1c-1234-5678-9abc-def012345678 and 8F3A2B1C-1234-5678-9ABC-DEF012345678",
        "/usr/local/lib/python3.10/dist-packages/torch/nn/modules/linear.py",
        "/opt/app/.cache/huggingface/hub/models--meta-llama--Meta-Llama-3-8B-Instruct/refs/main",
        "meta-llama/Meta-Llama-3-8B-Instruct-GPTQ-Int4",
        "transformers.models.llama.modeling_llama.LlamaForCausalLM",
        "_ZN3c104cuda29c10_cuda_check_implementationEiPKcS2_jb",
        "torch-2.4.0+cu121-cp310-cp310-linux_x86_64.whl",
        "checkpoint-2026-11-22T01-13-21-run5-final",
        "max_tokens=4096 prompt_tokens: 12 eos_token_id=2 tokens per second: 41.5",
        "PWD=/workspace/app OLDPWD=/srv",
        "hf_hub_download and hf_transfer_enabled",
        "auth::token::Verify called",
        "password=None api_key: null, secret=true",
        "http://10.0.0.1:8080/v1/chat/completions?user=a@b.example",
        "registry.example.com:5000/team/server:2024.11.22-cuda12.4-runtime-ubuntu22.04",
        "KeyError: 'model' at key: value",
        "the password was wrong",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn a_command_line_is_masked_word_by_word() {
    let words = [
        "serve",
        "--api-key",
        "abc",
        "--port",
        "80",
        "--token=x",
        "--hf-token",
        "-v",
    ];
    assert_eq!(
        Mask::default().words(&words),
        [
            "serve",
            "--api-key",
            "[masked]",
            "--port",
            "80",
            "--token=[masked]",
            "--hf-token",
            "-v"
        ]
    );
}

#[test]
fn secrets_of_the_environment_are_masked_wherever_they_stand() {
    let environment = [
        "MODEL=llama-3",
        "DB_PASSWORD=correct horse",
        "PIN_TOKEN=12345",
        "SSH_KEY=first line\nsecond line\n",
        "broken",
    ];
    let mask = Mask::knowing(environment.into_iter());
    assert_eq!(
        mask.text("using correct horse for llama-3, first line, second line, 12345"),
        "using [masked] for llama-3, [masked], [masked], 12345"
    );
}

#[test]
fn what_overlaps_is_masked_once() {
    assert_eq!(mask("token=hf_abcdEFGH1234 x"), "token=[masked] x");
    assert_eq!(
        mask("Authorization: Bearer eyJhbGciOiJI.x"),
        "Authorization: [masked]"
    );
    assert_eq!(
        mask("url=https://u:ghp_abcdEFGH12@h/p"),
        "url=https://[masked]@h/p"
    );
}

/// A secret with what gives it away on both sides.
fn planted() -> impl Strategy<Value = (String, String)> {
    let value = "[A-Za-z0-9]{4,24}[0-9][A-Z]";
    // Shorter ones look like words now and then.
    let long = proptest::collection::vec(
        prop_oneof![4 => "[a-z]", 4 => "[A-Z]", 2 => "[0-9]"],
        48..64,
    )
    .prop_map(|letters| letters.concat());
    let keyed = (0..10usize, value).prop_map(|(form, secret)| {
        let text = match form {
            0 => format!("password={secret}"),
            1 => format!("x_token: {secret}"),
            2 => format!(r#""api_key":"{secret}""#),
            3 => format!("--client-secret {secret}"),
            4 => format!("Authorization: Digest {secret}"),
            5 => format!("bearer {secret}"),
            6 => format!("redis://:{secret}@cache:6379"),
            7 => format!("ghp_{secret}0A1b2C3d"),
            8 => format!("xoxb-{secret}0A1b"),
            _ => format!("-----BEGIN KEY-----{secret}-----END KEY-----"),
        };
        (text, secret)
    });
    prop_oneof![10 => keyed, 1 => long.prop_map(|secret| (secret.clone(), secret))]
}

proptest! {
    #[test]
    fn no_planted_secret_survives(
        before in "[ -~é]{0,40}",
        (text, secret) in planted(),
        after in "[ -~é]{0,40}",
    ) {
        // What stands around a secret ends with a blank, as words do.
        let line = format!("{before} {text} {after}");
        prop_assume!(!before.contains(&secret) && !after.contains(&secret));
        let masked = mask(&line);
        prop_assert!(!masked.contains(&secret), "{line}\n{masked}");
    }

    #[test]
    fn pieces_of_secrets_in_any_order_can_be_masked(
        pieces in proptest::collection::vec(prop_oneof![
            Just("password"), Just("=\u{e9}"), Just(": \""), Just("\\\""), Just("://"), Just("@"),
            Just("-----BEGIN "), Just("-----END "), Just("-----"), Just("Bearer "), Just("hf_"),
            Just("eyJ"), Just("\u{20ac}"), Just("['"), Just("--token "), Just("Authorization"),
            Just("<"), Just(">"), Just("api key"), Just("0aB/"), Just("\n"), Just("'"), Just(","),
        ], 0..40)
    ) {
        let text = pieces.concat();
        let mask = Mask::knowing(["A_TOKEN=\u{e9}\u{20ac}0aB/"].into_iter());
        let mut in_pem = InPem::default();
        let lines: Vec<String> = text.split('\n').map(|line| mask.line(line, &mut in_pem)).collect();
        prop_assert_eq!(lines.len(), text.split('\n').count());
    }

    #[test]
    fn anything_can_be_masked(text in ".{0,200}") {
        let once = mask(&text);
        prop_assert!(once.len() <= text.len() + MASKED.len() * text.len().max(1));
    }
}

#[test]
fn what_is_masked_already_stays_as_it_is() {
    let mask = Mask::knowing(["A_TOKEN=known-secret"].into_iter());
    for text in [
        "token=abc def",
        "{\"password\": \"abc\", \"x\": [\"known-secret\"]}",
        "Authorization: Bearer abcdef",
        "--api-key abc https://user:pass@example.org/ known-secret",
        "password=\"a b\" [token=abc]",
    ] {
        let once = mask.text(text);
        assert!(once.contains(MASKED), "{once}");
        assert_eq!(mask.text(&once), once);
    }
}
