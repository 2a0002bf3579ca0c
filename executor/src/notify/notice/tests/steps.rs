//! Each event as a step, in words.

use super::*;

#[test]
fn each_event_is_one_step_in_words_with_what_comes_next() {
    let plain: fn(&mut Facts) = |_| {};
    let target = || "app".to_owned();
    let (restarting, escalated) = (
        Event::Restarting {
            attempt: 7,
            target: target(),
            container_id: "a5e0".repeat(16),
        },
        |held| Event::Escalated {
            target: target(),
            rule: "xid".into(),
            held,
        },
    );
    let ended_pending = |expired| Event::PendingEnded {
        target: target(),
        why: "recovered by itself".into(),
        expired,
        dry: false,
    };
    for (event, change, step, detail, next) in [
        (
            decided(Verdict::Restart, None, ""),
            plain,
            Step::Detected,
            "Rule cuda-oom matches",
            "a restart at once",
        ),
        (
            decided(
                Verdict::Pending,
                Some(Gate::Cooldown),
                "Cooldown active (255s < 300s)",
            ),
            pending,
            Step::Pending,
            "Rule cuda-oom matches; put off: Cooldown active (255s < 300s)",
            "decided again in 45s (at 2025-10-20T16:49:05Z), given up in 25m (at 2025-10-20T17:13:20Z)",
        ),
        (
            decided(
                Verdict::Refused,
                Some(Gate::DryRun),
                "Dry run: would restart 'app'",
            ),
            plain,
            Step::DryRun,
            "Dry run: would restart 'app'",
            "nothing: this is a dry run",
        ),
        (
            restarting.clone(),
            plain,
            Step::Restarting,
            "The container is being restarted, by rule cuda-oom",
            "watched for 1m after it runs again",
        ),
        (
            restarting,
            |facts| facts.attempt.as_mut().unwrap().rule = None,
            Step::Restarting,
            "The container is being restarted, as a person asked for",
            "watched for 1m after it runs again",
        ),
        (
            ended(Outcome::Recovered, "healthy for 60s"),
            plain,
            Step::Recovered,
            "Healthy for 60s",
            "nothing to do",
        ),
        (
            ended(Outcome::Relapsed, "the same again"),
            plain,
            Step::Relapsed,
            "The same again",
            NEXT,
        ),
        (
            ended(Outcome::Relapsed, "the same again"),
            held,
            Step::Relapsed,
            "The same again",
            RESUME,
        ),
        (
            ended(Outcome::Failed, "no such device"),
            plain,
            Step::Failed,
            "No such device",
            NEXT,
        ),
        (
            ended(Outcome::Failed, "x"),
            |facts| facts.status.as_mut().unwrap().possible.left_ms = Some(0),
            Step::Failed,
            "X",
            "restarted at the next match",
        ),
        (
            ended(Outcome::Unknown, "no answer"),
            held,
            Step::Unknown,
            "No answer",
            RESUME,
        ),
        (
            ended(Outcome::Aborted, "stopped"),
            plain,
            Step::Aborted,
            "Stopped",
            "nothing: it is left as it is",
        ),
        (
            ended_pending(true),
            plain,
            Step::Expired,
            "Given up, and may still be needed: recovered by itself",
            "see whether the container needs a restart",
        ),
        (
            ended_pending(false),
            plain,
            Step::Resolved,
            "Recovered by itself",
            "nothing to do",
        ),
        (
            escalated(true),
            plain,
            Step::Escalated,
            "A restart cannot cure this: a person is needed",
            RESUME,
        ),
        (
            escalated(false),
            plain,
            Step::Escalated,
            "A restart cannot cure this: a person is needed",
            "no restart is made for it",
        ),
        (
            Event::EndedUnseen {
                target: target(),
                rule: "unfinished".into(),
            },
            |facts| facts.why = Some("nobody saw how it ended".to_owned()),
            Step::Escalated,
            "Rule unfinished matches: nobody saw how it ended",
            "nothing is started; if it is to run: docker start app",
        ),
        (
            Event::Held {
                target: target(),
                why: "5 attempts".into(),
                escalates: false,
            },
            |facts| facts.recovery.release_after_ms = 0,
            Step::Held,
            "5 attempts",
            "no restarts until `healer resume app`",
        ),
        (
            Event::Released {
                target: target(),
                by: "a person".into(),
            },
            plain,
            Step::Released,
            "Released by a person",
            "it is restarted again when a rule matches",
        ),
        (
            Event::Storm {
                why: "5 in a row".into(),
            },
            plain,
            Step::Storm,
            "5 in a row",
            "no restarts of any container until all is clear, or `healer resume`",
        ),
        (
            Event::StormEnded {
                by: "all clear".into(),
            },
            plain,
            Step::StormEnded,
            "The storm is over (all clear)",
            "containers are restarted again when a rule matches",
        ),
    ] {
        let mut facts = facts();
        change(&mut facts);
        let told = notice(&event, facts).unwrap();
        assert_eq!(
            (told.step, &*told.detail, &*told.next),
            (step, detail, next),
            "{event:?}"
        );
        let is_about_all = matches!(step, Step::Storm | Step::StormEnded);
        assert_eq!(told.target, if is_about_all { "" } else { "app" });
    }
}

const NEXT: &str = "next possible restart in 4m (at 2025-10-20T16:52:20Z)";

const RESUME: &str = "no restarts until `healer resume app`, or well for 10m";
