//! `healer restart TARGET`: one restart through the same policy and state; the
//! original's `restart.sh`, and in its words.

use clap::Args;
use executor_api::{AdminAnswer, AdminRequest, ExitCode, RestartRequest, STRING_BYTES_MAX};

use super::Settings;
use super::admin::{ask, show};
use super::client::ClientError;
use super::output::{Failure, prefix};
use super::run::one_shot;
use crate::config::{Sources, parse_duration_ms};

/// Longest wait for the engine's answer: the longest stop time-out that is
/// waited for (10 min), a second look, and a margin.
const ANSWER_MS_MAX: u64 = 25 * 60 * 1000;
/// Longest cooldown and window of a request: the configuration's own limit.
const LIMIT_S_MAX: u64 = 30 * 24 * 3600;

#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// The container's name or id [env: TARGET_CONTAINER, else TARGET_CONTAINER_ID]
    target: Option<String>,
    /// At least this long since its last restart, for this request [env: COOLDOWN_SEC]
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    cooldown: Option<u64>,
    /// The span in which --max-per-window counts, for this request [env: WINDOW_SEC]
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    window: Option<u64>,
    /// At most so many restarts in any window, for this request [env: MAX_PER_WINDOW]
    #[arg(long, value_name = "N", value_parser = count)]
    max_per_window: Option<u32>,
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<u64, String> {
    let ms = parse_duration_ms(text)?;
    if ms % 1000 != 0 {
        return Err(format!("\"{text}\" is not a number of whole seconds"));
    }
    if ms / 1000 > LIMIT_S_MAX {
        return Err(format!("\"{text}\" is longer than 30 days"));
    }
    Ok(ms / 1000)
}

fn count(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|n| (1..=1000).contains(n))
        .ok_or_else(|| format!("\"{text}\" is not a number between 1 and 1000"))
}

pub(super) fn restart(settings: &Settings, args: &RestartArgs) -> Result<ExitCode, Failure> {
    // Here the original's variables are the request's, not the configuration's.
    let config = settings.load_from(&Sources {
        original_variables: false,
        ..settings.sources()
    })?;
    let request = request(args, |name| std::env::var(name).ok())?;
    let asked = ask(
        &config,
        &AdminRequest::Restart(request.clone()),
        ANSWER_MS_MAX,
    );
    let answer = match asked {
        Ok(answer) => answer,
        // Nobody runs: under the state lock then, which finds out for certain.
        Err(ClientError::Away(_)) => one_shot(&config, request)?,
        Err(ClientError::Failed(why)) => return Err(Failure::failed(why)),
    };
    show(&answer, args.json, original_words)
}

fn request(
    args: &RestartArgs,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<RestartRequest, Failure> {
    let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let target = args
        .target
        .clone()
        .or_else(|| variable("TARGET_CONTAINER"))
        // A fixed id is out of date as soon as the container is made anew.
        .or_else(|| variable("TARGET_CONTAINER_ID"))
        .unwrap_or_default();
    let target = target.trim().trim_start_matches('/');
    if target.is_empty() {
        return Err(Failure::wrong_use(
            "no target: name a container, or set TARGET_CONTAINER",
        ));
    }
    if target.len() > STRING_BYTES_MAX {
        return Err(Failure::wrong_use(format!(
            "the target has {} bytes; at most {STRING_BYTES_MAX} are allowed",
            target.len()
        )));
    }
    Ok(RestartRequest {
        target: target.to_owned(),
        cooldown_sec: given(args.cooldown, "COOLDOWN_SEC", &variable, seconds)?,
        window_sec: given(args.window, "WINDOW_SEC", &variable, seconds)?,
        max_per_window: given(args.max_per_window, "MAX_PER_WINDOW", &variable, count)?,
    })
}

/// A flag's value, else a variable's.
fn given<T>(
    flag: Option<T>,
    name: &str,
    variable: &impl Fn(&str) -> Option<String>,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    match (flag, variable(name)) {
        (None, Some(text)) => parse(&text)
            .map(Some)
            .map_err(|why| Failure::wrong_use(format!("{name}: {why}"))),
        (flag, _) => Ok(flag),
    }
}

/// Each line as the original printed it: `[healer] <time> Restart complete.`
/// A refusal says that it skips.
fn original_words(answer: &AdminAnswer) -> String {
    let prefix = prefix();
    let mut text = String::new();
    for line in answer.message.lines() {
        let skips = answer.code == ExitCode::Refused && !line.contains("skipping");
        let suffix = if skips { " — skipping." } else { "" };
        text.push_str(&format!("{prefix}{line}{suffix}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: Option<&str>, env: &[(&str, &str)]) -> Result<RestartRequest, String> {
        let args = RestartArgs {
            target: target.map(str::to_owned),
            cooldown: Some(7),
            window: None,
            max_per_window: None,
            json: false,
        };
        let find = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        request(&args, find).map_err(|failure| match failure {
            Failure::Told { message, .. } => message,
            Failure::ReaderGone => unreachable!("nothing is written here"),
        })
    }

    #[test]
    fn the_target_is_the_one_most_exactly_said() {
        let (name, id) = (
            ("TARGET_CONTAINER", "/app"),
            ("TARGET_CONTAINER_ID", "a5e0"),
        );
        for (argument, env, expected) in [
            (Some("web"), &[name, id][..], "web"),
            (None, &[name, id], "app"),
            (None, &[id], "a5e0"),
            (None, &[("TARGET_CONTAINER", " "), id], "a5e0"),
        ] {
            assert_eq!(asked(argument, env).unwrap().target, expected);
        }
        assert!(asked(None, &[]).unwrap_err().starts_with("no target: "));
        let long = "a".repeat(STRING_BYTES_MAX);
        assert!(asked(Some(&long), &[]).is_ok());
        assert!(asked(Some(&format!("{long}a")), &[]).is_err());
    }

    #[test]
    fn the_originals_variables_are_limits_of_the_request() {
        let env = [
            ("COOLDOWN_SEC", "1"),
            ("WINDOW_SEC", "10m"),
            ("MAX_PER_WINDOW", "2"),
        ];
        let request = asked(Some("app"), &env).unwrap();
        assert_eq!(request.cooldown_sec, Some(7), "the flag wins");
        assert_eq!(request.window_sec, Some(600));
        assert_eq!(request.max_per_window, Some(2));
        for (name, value) in [
            ("WINDOW_SEC", "1500ms"),
            ("WINDOW_SEC", "31d"),
            ("MAX_PER_WINDOW", "0"),
            ("MAX_PER_WINDOW", "1001"),
        ] {
            let why = asked(Some("app"), &[(name, value)]).unwrap_err();
            assert!(
                why.starts_with(&format!("{name}: \"{value}\" is ")),
                "{why}"
            );
        }
    }

    #[test]
    fn answers_are_printed_in_the_originals_words() {
        let printed = |code, message: &str| {
            original_words(&AdminAnswer {
                code,
                message: message.into(),
                data: serde_json::Value::Null,
            })
        };
        let done = printed(
            ExitCode::Done,
            "Restarting container 'app' ...\nRestart complete.",
        );
        let lines: Vec<_> = done.lines().collect();
        assert!(lines[0].starts_with("[healer] 20"), "{done}");
        assert!(lines[0].ends_with("Z Restarting container 'app' ..."));
        assert!(lines[1].ends_with("Z Restart complete."));
        let refused = printed(ExitCode::Refused, "Cooldown active (45s < 300s)");
        assert!(refused.ends_with("Z Cooldown active (45s < 300s) — skipping.\n"));
    }
}
