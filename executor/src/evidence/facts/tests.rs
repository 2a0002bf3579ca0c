//! What is kept of an inspect and of stats, and what is not.

use serde_json::json;

use super::*;

fn inspect() -> Value {
    json!({
        "Id": "a5e0", "Created": "2026-11-22T01:00:00Z", "Path": "python",
        "Args": ["serve.py", "--api-key", "planted-1", "--port", "80"],
        "RestartCount": 3,
        "State": {
            "Status": "running", "StartedAt": "2026-11-22T01:13:20Z", "Pid": 4711,
            "OOMKilled": true, "ExitCode": 0,
            "Health": {"Status": "unhealthy", "FailingStreak": 2, "Log": [
                {"Start": "s1", "End": "e1", "ExitCode": 1, "Output": "password=planted-2\nline 2\u{7}\n"},
            ]},
        },
        "Config": {
            "Image": "registry.example/llm:1", "Tty": false,
            "Env": ["MODEL=planted-3", "HF_TOKEN=planted-4-long", "EMPTY=", "bare"],
            "Labels": {"x": "planted-5"},
        },
        "HostConfig": {
            "Memory": 1024, "ShmSize": 64,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
            "DeviceRequests": [
                {"Driver": "nvidia", "Count": -1, "DeviceIDs": null, "Capabilities": [["gpu", "compute"]]},
                {"Driver": "", "Count": 0, "DeviceIDs": ["0", "GPU-8f3a"], "Capabilities": [["gpu"]]},
            ],
            "Devices": [{"PathOnHost": "/dev/planted", "PathInContainer": "/dev/kfd"}],
        },
        "Mounts": [{"Source": "/planted/models", "Destination": "/models"}],
    })
}

#[test]
fn a_container_is_kept_without_what_is_nobodys_business() {
    let (container, mask) = container(&inspect());
    let kept = serde_json::to_value(&container).expect("JSON");
    let expected = json!({
        "image": "registry.example/llm:1", "created": "2026-11-22T01:00:00Z",
        "state": {
            "status": "running", "started_at": "2026-11-22T01:13:20Z", "pid": 4711,
            "oom_killed": true, "exit_code": 0,
        },
        "restart_count": 3, "restart_policy": "on-failure", "restart_retries_max": 5,
        "command": {
            "first": ["python", "serve.py", "--api-key", "[masked]", "--port", "80"],
            "left_out": 0,
        },
        "environment": {"first": ["MODEL", "HF_TOKEN", "EMPTY", "bare"], "left_out": 0},
        "memory_limit_bytes": 1024, "shm_bytes": 64,
        "gpus": {
            "first": ["nvidia: all (gpu,compute)", "any driver: 0,GPU-8f3a (gpu)"],
            "left_out": 0,
        },
        "devices": {"first": ["/dev/kfd"], "left_out": 0},
        "mounts": {"first": ["/models"], "left_out": 0},
        "health": {
            "status": "unhealthy", "failing_streak": 2,
            "checks": [{
                "start": "s1", "end": "e1", "exit_code": 1,
                "output": "password=[masked]\nline 2\u{fffd}",
            }],
        },
    });
    assert_eq!(kept, expected);
    assert!(!kept.to_string().contains("planted"), "{kept}");
    assert_eq!(mask.text("got planted-4-long"), "got [masked]");
}

#[test]
fn lists_end_at_their_limit_and_say_how_many_more_there_are() {
    let many: Vec<String> = (0..1_000).map(|n| format!("NAME_{n:03}=x")).collect();
    let (container, _) = container(&json!({"Config": {"Env": many}}));
    let kept = container.environment.kept.len();
    assert_eq!(kept, LIST_BYTES_MAX / ("NAME_000".len() + ITEM_BYTES));
    assert_eq!(container.environment.left_out, 1_000 - kept);
}

#[test]
fn long_texts_and_old_checks_are_left_out() {
    let check = |n: u32| json!({"Start": n.to_string(), "Output": "o ".repeat(OUTPUT_BYTES_MAX)});
    let checks: Vec<Value> = (0..9).map(check).collect();
    let (container, _) = container(&json!({
        "Config": {"Image": "i".repeat(WORD_BYTES_MAX + 1)},
        "State": {"Health": {"Status": "healthy", "Log": checks}},
    }));
    assert_eq!(
        container.image.map(|image| image.len()),
        Some(WORD_BYTES_MAX)
    );
    let health = container.health.expect("it has a check");
    assert_eq!(health.checks.len(), CHECKS_MAX);
    assert_eq!(health.checks[0].start.as_deref(), Some("4"));
    assert!(
        health
            .checks
            .iter()
            .all(|check| check.output.len() <= OUTPUT_BYTES_MAX)
    );
}

#[test]
fn an_inspect_of_any_shape_is_taken() {
    for odd in [
        json!(null),
        json!([]),
        json!({"State": 1, "Config": {"Env": "no", "Image": 7}, "Mounts": {"a": 1}, "Args": [1]}),
        json!({"State": {"Health": {"Status": "none", "Log": []}}, "Config": {"Env": null}}),
    ] {
        let (container, _) = container(&odd);
        assert_eq!(container.health, None, "{odd}");
        assert_eq!(container.environment, List::default(), "{odd}");
        assert_eq!(memory(&odd), None, "{odd}");
    }
}

#[test]
fn memory_is_read_from_cgroups_of_both_versions() {
    let v1 = json!({"memory_stats": {
        "usage": 10, "max_usage": 20, "limit": 30, "failcnt": 4,
        "stats": {"rss": 5, "cache": 6},
    }});
    let v2 = json!({
        "memory_stats": {"usage": 10, "limit": 30, "stats": {"anon": 5, "file": 6}},
        "pids_stats": {"current": 7},
    });
    let json = |stats| serde_json::to_value(memory(&stats)).expect("JSON");
    assert_eq!(
        json(v1),
        json!({
            "usage_bytes": 10, "max_usage_bytes": 20, "limit_bytes": 30, "failures": 4,
            "anonymous_bytes": 5, "file_bytes": 6, "processes": null,
        })
    );
    assert_eq!(
        json(v2),
        json!({
            "usage_bytes": 10, "max_usage_bytes": null, "limit_bytes": 30, "failures": null,
            "anonymous_bytes": 5, "file_bytes": 6, "processes": 7,
        })
    );
    assert_eq!(memory(&json!({"memory_stats": {}})), None, "not running");
}
