//! What `healer status` says of targets that are off, and of checks that fail.

use executor_api::{Status, TargetStatus};
use policy::{Gate, Off};

use super::*;

async fn target(bench: &Bench, name: &str) -> TargetStatus {
    let answer = bench.handle.admin(AdminRequest::Status {}).await;
    let status: Status = serde_json::from_value(answer.data).expect("a status");
    let mut targets = status.targets.into_iter();
    targets.find(|one| one.name == name).expect("a target")
}

/// A bench whose configuration lists `web`.
async fn listing_web() -> Bench {
    let bench = Bench::start();
    let mut config = Config::default();
    let web = policy::TargetConfig {
        enabled: true,
        ..config.policy.defaults.clone()
    };
    config.policy.targets.insert("web".into(), web);
    let settings = Settings {
        calendar: Default::default(),
        policy: config.policy,
        rules: rules::RuleBook::load("gpu").expect("a built-in pack"),
        stop_timeouts: config.stop_timeouts,
        shutdown_grace: Duration::ZERO,
    };
    assert!(bench.handle.reload(settings).await);
    bench
}

#[test]
fn a_target_that_its_label_has_off_shows_as_off_until_it_is_watched() {
    on_one_thread(async || {
        let bench = listing_web().await;
        let before = target(&bench, "web").await;
        assert_eq!((&*before.state, before.blocked_by), ("idle", None));
        let off = Off {
            gate: Gate::NotEnabled,
            why: "switched off by its label healer.enable=false".into(),
        };
        let others = ["web", "nobody-asked-for"].map(|name| (name.to_owned(), off.clone()));
        bench.site.off.borrow_mut().extend(others);
        let web = target(&bench, "web").await;
        assert_eq!(
            (&*web.state, web.blocked_by.as_deref(), web.next_possible),
            ("off", Some("not-enabled"), None)
        );
        assert_eq!(web.detail, off.why);
        let answer = bench.handle.admin(AdminRequest::Status {}).await;
        let names = answer.data["targets"].to_string();
        assert!(!names.contains("nobody-asked-for"), "{names}");
        // Made anew without the label: the list of those that are off follows later.
        bench.site.watched.borrow_mut().insert("web".into());
        assert_eq!(target(&bench, "web").await.state, "idle");
    });
}

#[test]
fn checks_that_fail_are_named_until_they_clear_or_are_no_more() {
    on_one_thread(async || {
        let bench = listing_web().await;
        let checks = bench.site.metrics.checks();
        assert_eq!(target(&bench, "web").await.failing, [""; 0]);
        for rule in ["silent", "no-beat", "probe-api"] {
            checks.set_failing("web", rule, true);
            checks.set_failing("web2", rule, true);
        }
        checks.set_failing("web", "probe-well", false);
        let all = ["no-beat", "probe-api", "silent"];
        assert_eq!(target(&bench, "web").await.failing, all);
        checks.set_failing("web", "silent", false);
        checks.forget("web", "no-beat");
        assert_eq!(target(&bench, "web").await.failing, ["probe-api"]);
    });
}
